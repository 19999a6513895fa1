// The draft of each conversation: in the textarea while it is written, in the browser's storage for the next visit.

import { keep, kept } from "./kept.js";
import { remainder } from "./outbox.js";
import { typed } from "./session.js";

const KEEP_AFTER_MS = 300;
// A message that was sent from the empty page moves to its own address: what was typed meanwhile goes along.
const MOVES_WITHIN_MS = 10_000;

export class Draft {
  constructor(area, form, outbox, onLeft) {
    Object.assign(this, { area, form, outbox, onLeft, place: null, movesUntil: 0, timer: 0, elsewhere: new Map() });
  }

  at(place) {
    if (place === this.place) return;
    const moving = this.place === "/" && performance.now() < this.movesUntil;
    const typed = this.area.current.value;
    if (this.place !== null && !moving) this.leave();
    if (moving) keep(`draft.${this.place}`, null);
    this.movesUntil = 0;
    this.place = place;
    const { text = "", id = null } = (moving ? { text: typed } : kept(`draft.${place}`)) ?? {};
    // What was typed before the page was ready stays.
    if (text || !typed || this.loaded) this.show(text || (this.loaded ? "" : typed));
    this.loaded = true;
    this.outbox.restore(text, id);
    if (moving) this.save();
  }

  // What is on its way belongs to the conversation that is left: it is never sent again from another one.
  leave() {
    this.save();
    if (!this.outbox.pending) return;
    this.elsewhere.set(this.outbox.pending.id, this.place);
    this.outbox.refused(this.outbox.pending.id);
    this.onLeft();
  }

  sentElsewhere(id) {
    const place = this.elsewhere.get(id);
    if (place && place !== this.place && kept(`draft.${place}`)?.id === id) keep(`draft.${place}`, null);
    this.elsewhere.delete(id);
  }

  show(text) {
    this.area.current.value = text;
    this.grow();
  }

  typed = () => {
    typed();
    this.grow();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), KEEP_AFTER_MS);
  };

  save() {
    clearTimeout(this.timer);
    const text = this.area.current?.value;
    if (text === undefined || this.place === null) return;
    const id = this.outbox.pending?.text === text ? this.outbox.pending.id : null;
    keep(`draft.${this.place}`, text ? { text, id } : null);
  }

  sent(text) {
    if (this.place === "/") this.movesUntil = performance.now() + MOVES_WITHIN_MS;
    this.show(remainder(this.area.current.value, text));
    this.save();
  }

  grow() {
    const area = this.area.current;
    const empty = String(!area.value.trim());
    const { dataset } = this.form.current;
    if (dataset.empty !== empty) dataset.empty = empty;
    this.sizesItself ??= CSS.supports("field-sizing", "content");
    if (this.sizesItself) return;
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight}px`;
  }
}
