/**
 * Tests from the browser what gets through: the page's WebSocket, a stream piece by piece, and silence.
 * `?idle=<seconds>` sets how long the silence is.
 */

const SOCKET_MS = 10_000;
const STREAM_MS = 20_000;
const IDLE_SECONDS = Math.min(300, Math.max(1, Number(new URLSearchParams(location.search).get("idle")) || 75));
// The server says something at least this often while a model is silent.
const BEAT_SECONDS = 10;

const seconds = (n) => `${n} second${n === 1 ? "" : "s"}`;
const verdict = document.getElementById("verdict");
const again = document.getElementById("again");

function tell(id, state, sentence) {
  const item = document.getElementById(id);
  item.dataset.state = state;
  item.querySelector("p").textContent = sentence;
  return state === "good";
}

/** The page's own socket: its first message is the server's greeting. */
function testSocket() {
  return new Promise((done) => {
    const address = `${location.origin.replace(/^http/, "ws")}/_event/?EIO=4&transport=websocket`;
    const began = performance.now();
    const socket = new WebSocket(address);
    const end = (state, sentence) => {
      clearTimeout(timer);
      socket.onmessage = socket.onclose = null;
      socket.close();
      done(tell("socket", state, sentence));
    };
    const blocked =
      "WebSockets do not get through: the chat page cannot work. A proxy in between must pass the headers Upgrade and Connection on.";
    const timer = setTimeout(() => end("bad", blocked), SOCKET_MS);
    socket.onmessage = () =>
      end("good", `WebSockets get through (${Math.round(performance.now() - began)} ms to the first message).`);
    socket.onclose = () => end("bad", blocked);
  });
}

/** Eleven pieces, a tenth of a second apart: do they arrive so? */
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
    return tell("stream", "bad", "A stream does not get through at all: answers over HTTP cannot be followed.");
  const first = arrived[0];
  const last = arrived[arrived.length - 1];
  const sent = last.sent - first.sent;
  const took = last.at - first.at;
  const late = Math.round(Math.max(...arrived.map((p) => p.at - first.at - (p.sent - first.sent))));
  if (took < sent / 2)
    return tell(
      "stream",
      "bad",
      "Streams are held back: what the server sent over a second arrived at once. A proxy in between buffers or compresses; it must respect X-Accel-Buffering: no."
    );
  return tell("stream", "good", `Streams arrive piece by piece (${Math.max(0, late)} ms late at most).`);
}

/** One event, silence, another event: is the connection still there? */
async function testIdle() {
  const began = performance.now();
  const passed = () => Math.round((performance.now() - began) / 1000);
  const timer = setInterval(
    () => tell("idle", "testing", `Testing: ${passed()} of ${seconds(IDLE_SECONDS)} of silence …`),
    1000
  );
  let text = "";
  try {
    const answer = await fetch(`/api/status/idle?seconds=${IDLE_SECONDS}`);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let read; !(read = await reader.read()).done; ) text += read.value;
  } catch {
    // cut: what arrived says it
  }
  clearInterval(timer);
  if (text.includes('"last":true'))
    return tell("idle", "good", `A silence of ${seconds(IDLE_SECONDS)} does not end the connection.`);
  const cut = passed();
  if (cut > BEAT_SECONDS * 1.5)
    return tell(
      "idle",
      "good",
      `Something in between ends a connection after ${seconds(cut)} of silence. That is no harm: the server never is silent for more than ${BEAT_SECONDS}.`
    );
  return tell(
    "idle",
    "bad",
    `Something in between ends a connection after ${seconds(cut)} of silence. Answers break off while a model thinks: its time-out must be longer than ${seconds(BEAT_SECONDS)}.`
  );
}

async function test() {
  again.disabled = true;
  verdict.textContent = "Testing …";
  for (const id of ["socket", "stream", "idle"]) tell(id, "testing", "Testing …");
  const results = await Promise.all([testSocket(), testStream(), testIdle()]);
  verdict.textContent = results.every(Boolean)
    ? "Everything gets through."
    : "Something in between stands in the way.";
  again.disabled = false;
}

again.addEventListener("click", test);
test();
