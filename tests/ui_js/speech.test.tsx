// Reading aloud and dictation, with voices and a microphone that the test plays: headless browsers have none.

import { afterEach, beforeEach, expect, test } from "bun:test";
import { chooseLanguage, strings } from "../../assets/chat/common/strings";
import { de } from "../../assets/chat/common/strings/de";
import { en } from "../../assets/chat/common/strings/en";
import { Composer } from "../../assets/chat/composer/composer";
import { Transcript } from "../../assets/chat/transcript/transcript";
import { act, cleanup, fireEvent, renderChat, screen, waitFor } from "./dom";
import { message, open } from "./messages";

class Utterance {
  onend: (() => void) | null = null;
  onerror: (() => void) | null = null;
  constructor(readonly text: string) {}
}

/** Speaks in turn, and says of what is cancelled that it failed, a moment later, as browsers do. */
class Voices {
  queue: Utterance[] = [];
  read: string[] = [];
  speak = (utterance: Utterance) => this.queue.push(utterance);
  cancel = () => {
    for (const utterance of this.queue.splice(0)) queueMicrotask(() => utterance.onerror?.());
  };
  say(count = this.queue.length) {
    for (const utterance of this.queue.splice(0, count)) {
      this.read.push(utterance.text);
      utterance.onend?.();
    }
  }
}

type Heard = { transcript: string; final: boolean }[];

class Recognition {
  static started: Recognition[] = [];
  lang = "";
  onresult: ((event: unknown) => void) | null = null;
  onend: (() => void) | null = null;
  onerror: ((event: { error: string }) => void) | null = null;
  start = () => Recognition.started.push(this);
  stop = () => this.onend?.();
  abort = () => {};
  hear(heard: Heard, resultIndex = 0) {
    const results = heard.map(({ transcript, final }) => Object.assign([{ transcript }], { isFinal: final }));
    this.onresult?.({ resultIndex, results });
  }
}

const page = globalThis as Record<string, unknown>;
let voices: Voices;
const original = globalThis.fetch;

beforeEach(() => {
  voices = new Voices();
  Object.assign(page, { speechSynthesis: voices, SpeechSynthesisUtterance: Utterance, SpeechRecognition: Recognition });
  Recognition.started = [];
  globalThis.fetch = (async () => Response.json({}, { status: 404 })) as unknown as typeof fetch;
});
afterEach(async () => {
  cleanup(); // silences what is read, while there are voices
  globalThis.fetch = original;
  for (const name of ["speechSynthesis", "SpeechSynthesisUtterance", "SpeechRecognition"]) delete page[name];
  chooseLanguage("en");
  await waitFor(() => expect(strings()).toBe(en));
});

const nothing = () => {};
const settled = () => act(async () => {});

async function showing(...texts: string[]) {
  const handlers = { onResync: nothing, onRetry: nothing, onContinue: nothing, onEarlier: nothing };
  const view = renderChat(<Transcript state="" onDecide={nothing} onPace={nothing} {...handlers} />);
  view.feed(open(texts.map((text, i) => message(`a${i}`, text))));
  await screen.findAllByTestId("read-aloud"); // the module of messages is loaded after the page
  const buttons = () => screen.getAllByTestId("read-aloud");
  const press = async (index: number) => {
    fireEvent.click(buttons()[index]);
    await settled();
  };
  return { ...view, buttons, press };
}

const pressed = (button: HTMLElement) => button.getAttribute("aria-pressed") === "true";

test("an answer is read paragraph by paragraph, without its code, and the button says when it ends", async () => {
  const { buttons, press } = await showing("First *words*.\n\n```js\nsecret()\n```\n\nLast words.");
  await press(0);
  expect(voices.queue.map(({ text }) => text)).toEqual(["First words.", "Last words.", ""]);
  expect(buttons()[0].getAttribute("aria-label")).toBe("Stop reading");
  await act(async () => voices.say());
  expect(voices.read).toEqual(["First words.", "Last words.", ""]);
  expect(pressed(buttons()[0])).toBe(false);
});

test("pressed again it stops, and once more it begins anew", async () => {
  const { buttons, press } = await showing("One.\n\nTwo.");
  await press(0);
  await act(async () => voices.say(1));
  await press(0);
  expect([voices.queue.length, pressed(buttons()[0])]).toEqual([0, false]);
  await press(0);
  expect([voices.queue.length, pressed(buttons()[0])]).toEqual([3, true]);
});

test("another answer that is read takes the voice, and keeps it", async () => {
  const { buttons, press } = await showing("The first.", "The second.");
  await press(0);
  await press(1);
  expect(voices.queue.map(({ text }) => text)).toEqual(["The second.", ""]);
  expect(buttons().map(pressed)).toEqual([false, true]);
});

test("a conversation that is left is not read any more", async () => {
  const { press, unmount } = await showing("The first.");
  await press(0);
  unmount();
  expect(voices.queue).toEqual([]);
});

test("without voices or a microphone there are no buttons for them", () => {
  for (const name of ["speechSynthesis", "SpeechRecognition"]) delete page[name];
  renderChat(<Composer models={[]} defaultModel="" onSend={nothing} onStop={nothing} />);
  expect(screen.queryByTestId("dictate")).toBeNull();
});

function dictating() {
  const view = renderChat(<Composer models={[]} defaultModel="" onSend={nothing} onStop={nothing} />);
  view.feed(open([]));
  fireEvent.click(screen.getByTestId("dictate"));
  const area = screen.getByTestId<HTMLTextAreaElement>("composer");
  return { ...view, area, recognition: Recognition.started[0] };
}

test("what was heard for certain is written at the caret, once, and counts as typed", () => {
  const { area, recognition } = dictating();
  area.value = "Tell me";
  area.setSelectionRange(7, 7);
  act(() => recognition.hear([{ transcript: "about", final: false }]));
  expect(area.value).toBe("Tell me");
  act(() => recognition.hear([{ transcript: "about owls ", final: true }]));
  act(() =>
    recognition.hear(
      [
        { transcript: "about owls", final: true },
        { transcript: " and hawks", final: true },
      ],
      1,
    ),
  );
  expect(area.value).toBe("Tell me about owls and hawks");
  expect(screen.getByTestId<HTMLButtonElement>("send").disabled).toBe(false);
});

test("it listens in the language of the page, and until it is told to stop", async () => {
  chooseLanguage("de");
  await waitFor(() => expect(strings().shell.newChat).toBe(de.shell.newChat));
  const { recognition } = dictating();
  expect(recognition.lang).toBe("de");
  expect(screen.getByTestId("dictate").getAttribute("aria-label")).toBe("Diktat beenden");
  fireEvent.click(screen.getByTestId("dictate"));
  expect(pressed(screen.getByTestId("dictate"))).toBe(false);
});

test("a microphone that may not be used is said", () => {
  const { recognition } = dictating();
  act(() => {
    recognition.onerror?.({ error: "not-allowed" });
    recognition.onend?.();
  });
  expect(screen.getByText(/may not use the microphone/)).toBeTruthy();
  expect(pressed(screen.getByTestId("dictate"))).toBe(false);
});
