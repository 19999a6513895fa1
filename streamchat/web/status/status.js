/**
 * Tests the connection from the browser: the page's WebSocket, a stream piece by piece, and a silent connection.
 * `?idle=<seconds>` sets the length of the silence.
 */

import { number, t } from "../look/page.js";

const SOCKET_MS = 10_000;
const STREAM_MS = 20_000;
const IDLE_SECONDS = Math.min(300, Math.max(1, Number(new URLSearchParams(location.search).get("idle")) || 75));
// The server sends a heartbeat at least this often while a model is silent.
const HEARTBEAT_SECONDS = 10;

const seconds = (n) => (n === 1 ? t("1 second") : t("{0} seconds", n));
const verdict = document.getElementById("verdict");
const again = document.getElementById("again");

function show(id, state, message) {
  const item = document.getElementById(id);
  item.dataset.state = state;
  item.querySelector("p").textContent = message;
  return state === "good";
}

/** The page's own socket: its first message is the server's greeting. */
function testSocket() {
  return new Promise((done) => {
    const address = `${location.origin.replace(/^http/, "ws")}/_event/?EIO=4&transport=websocket`;
    const began = performance.now();
    const socket = new WebSocket(address);
    const end = (state, message) => {
      clearTimeout(timer);
      socket.onmessage = socket.onclose = null;
      socket.close();
      done(show("socket", state, message));
    };
    const blocked = t(
      "WebSockets are blocked, so the chat page cannot work. A proxy must forward the headers Upgrade and Connection."
    );
    const timer = setTimeout(() => end("bad", blocked), SOCKET_MS);
    socket.onmessage = () =>
      end("good", t("WebSockets work ({0} ms to the first message).", Math.round(performance.now() - began)));
    socket.onclose = () => end("bad", blocked);
  });
}

/** Eleven pieces, a tenth of a second apart: they must not arrive all at once. */
function testStream() {
  return new Promise((done) => {
    const arrived = [];
    const source = new EventSource("/api/status/stream");
    const end = () => {
      clearTimeout(timer);
      source.close();
      done(judgeStream(arrived));
    };
    const timer = setTimeout(end, STREAM_MS);
    source.onmessage = ({ data }) => {
      const piece = JSON.parse(data);
      arrived.push({ at: performance.now(), sent: piece.ms });
      if (piece.last) end();
    };
    source.onerror = end;
  });
}

function judgeStream(arrived) {
  if (arrived.length < 2)
    return show("stream", "bad", t("Streams are blocked: answers cannot be followed over HTTP."));
  const first = arrived[0];
  const last = arrived[arrived.length - 1];
  const sent = last.sent - first.sent;
  const took = last.at - first.at;
  const late = Math.round(Math.max(...arrived.map((p) => p.at - first.at - (p.sent - first.sent))));
  if (took < sent / 2)
    return show(
      "stream",
      "bad",
      t(
        "Streams are buffered: what the server sent within a second arrived at once. A proxy buffers or compresses; it must respect X-Accel-Buffering: no."
      )
    );
  return show("stream", "good", t("Streams arrive piece by piece (at most {0} ms late).", Math.max(0, late)));
}

/** One event, silence, another event: the connection must survive. */
async function testIdle() {
  const began = performance.now();
  const passed = () => Math.round((performance.now() - began) / 1000);
  const timer = setInterval(
    () => show("idle", "testing", t("Testing: {0} of {1} of silence …", passed(), seconds(IDLE_SECONDS))),
    1000
  );
  let text = "";
  try {
    const response = await fetch(`/api/status/idle?seconds=${IDLE_SECONDS}`);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let read; !(read = await reader.read()).done; ) text += read.value;
  } catch {
    // The connection was cut; `text` is what arrived.
  }
  clearInterval(timer);
  if (text.includes('"last":true'))
    return show("idle", "good", t("A silence of {0} does not end the connection.", seconds(IDLE_SECONDS)));
  const cut = passed();
  if (cut > HEARTBEAT_SECONDS * 1.5)
    return show(
      "idle",
      "good",
      t(
        "Connections are cut after {0} of silence. This is harmless: the server is never silent for more than {1}.",
        seconds(cut),
        seconds(HEARTBEAT_SECONDS)
      )
    );
  return show(
    "idle",
    "bad",
    t(
      "Connections are cut after {0} of silence, so answers break off while a model thinks. The timeout of the proxy must be longer than {1}.",
      seconds(cut),
      seconds(HEARTBEAT_SECONDS)
    )
  );
}

/** How often the server itself stood still. This says nothing about the connection. */
async function showPauses() {
  try {
    const { count, longest_ms } = await (await fetch("/api/status/loop")).json();
    document.getElementById("loop").textContent = count
      ? t("Pauses of the server since its start: {0}, of {1} ms at most. Its log has the places.", number(count), longest_ms)
      : t("Since its start the server has never stood still.");
  } catch {
    // The other tests tell that the server cannot be reached.
  }
}

async function test() {
  again.disabled = true;
  showPauses();
  verdict.textContent = t("Testing …");
  for (const id of ["socket", "stream", "idle"]) show(id, "testing", t("Testing …"));
  const results = await Promise.all([testSocket(), testStream(), testIdle()]);
  verdict.textContent = results.every(Boolean)
    ? t("Everything works.")
    : t("The connection has a problem.");
  again.disabled = false;
}

again.addEventListener("click", test);
test();
