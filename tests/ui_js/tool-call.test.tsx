import { expect, mock, test } from "bun:test";
import type { ToolCallPart } from "../../assets/chat/store/frames";
import type { ToolCallView } from "../../assets/chat/store/message-parts";
import { ToolCall } from "../../assets/chat/tools/tool-call";
import { type Actions, ActionsProvider } from "../../assets/chat/transcript/actions";
import { cleanup, fireEvent, renderChat, screen, toggle, within } from "./dom";
import { open, streaming } from "./messages";

const schema = {
  type: "object",
  properties: {
    city: { type: "string", description: "Where" },
    days: { type: "integer" },
    fine: { type: "boolean" },
    tags: { type: "array", items: { type: "string" } },
    place: { type: "object", properties: { lat: { type: "number" } }, required: ["lat"] },
  },
  required: ["city", "days", "fine"],
};
const args = { city: "Lima", days: 3, fine: true, tags: ["a"], place: { lat: 1.5 } };

function viewOf(state: ToolCallPart["state"], more: Partial<ToolCallPart> = {}): ToolCallView {
  const part: ToolCallPart = { type: "tool_call", id: "t", name: "weather", state, arguments: args, ...more };
  return { ...part, index: 0, part };
}

let runs = 0;

function show(state: ToolCallPart["state"], more: Partial<ToolCallPart> = {}, run?: string) {
  runs += 1;
  const id = run ?? `run${runs}`;
  const decide = mock<Actions["decide"]>(() => {});
  const actions: Actions = { retry: () => {}, continue: () => {}, decide };
  const call = (view: ToolCallView) => (
    <ActionsProvider value={actions}>
      <ToolCall part={view} id={id} />
    </ActionsProvider>
  );
  const view = renderChat(call(viewOf(state, more)));
  const become = (state: ToolCallPart["state"], more: Partial<ToolCallPart> = {}) =>
    view.replace(call(viewOf(state, more)));
  return { ...view, id, become, decide };
}

const panel = () => screen.getByTestId<HTMLDetailsElement>("tool-panel");
const approve = () => fireEvent.click(screen.getByTestId("approve"));
const type = (label: RegExp, value: string) => fireEvent.change(screen.getByLabelText(label), { target: { value } });

test("what nobody edited is approved as it is", () => {
  const { decide, id } = show("awaiting-approval", { schema });
  approve();
  expect(decide.mock.calls).toEqual([[id, "t", { approve: true, arguments: null, reason: "", always: false }]]);
});

test("edited arguments go with the approval, and the button says so", () => {
  const { decide } = show("awaiting-approval", { schema });
  type(/^City/, "Quito");
  type(/^Lat/, "2");
  fireEvent.click(screen.getByLabelText(/^Fine/));
  fireEvent.click(screen.getByText("Add item"));
  type(/^Tags, item 2/, "b");
  fireEvent.click(screen.getByLabelText("Remove item 1"));
  expect(screen.getByTestId("approve").textContent).toBe("Approve with changes");
  approve();
  const edited = { city: "Quito", days: 3, fine: false, tags: ["b"], place: { lat: 2 } };
  expect(decide.mock.calls[0][2].arguments).toEqual(edited);
});

test("what does not fit is said at its field, and nothing is sent", () => {
  const { decide } = show("awaiting-approval", { schema });
  type(/^Days/, "many");
  expect(screen.queryByText("This is not a number.")).toBeNull();
  approve();
  expect(decide).not.toHaveBeenCalled();
  const field = screen.getByLabelText(/^Days/);
  expect(document.activeElement).toBe(field);
  const error = screen.getByText("This is not a number.");
  expect(field.getAttribute("aria-describedby")?.split(" ")).toContain(error.id);
  expect(field.getAttribute("aria-invalid")).toBe("true");
});

test("a denial goes with its reason and decides once; a refused decision can be made again", () => {
  const { decide, feed, id } = show("awaiting-approval", { schema });
  fireEvent.change(screen.getByLabelText(/Reason/), { target: { value: " no " } });
  fireEvent.click(screen.getByTestId("deny"));
  fireEvent.click(screen.getByTestId("deny"));
  const denial = { approve: false, arguments: null, reason: "no", always: false };
  expect(decide.mock.calls).toEqual([[id, "t", denial]]);
  feed({ k: "undecided", m: id, call: "other", text: "Not this one.", n: 1 });
  expect(screen.queryByText("Not this one.")).toBeNull();
  feed({ k: "undecided", m: id, call: "t", text: "It was decided elsewhere.", n: 2 });
  expect(screen.getByText("It was decided elsewhere.")).toBeTruthy();
  fireEvent.click(screen.getByTestId("deny"));
  expect(decide).toHaveBeenCalledTimes(2);
});

test("what the server does not accept is marked at its field, which gets the focus", () => {
  const { feed, id } = show("awaiting-approval", { schema });
  type(/^Lat/, "200");
  approve();
  feed({ k: "undecided", m: id, call: "t", text: "The arguments do not fit.", paths: [["place", "lat"]], n: 1 });
  const field = screen.getByLabelText(/^Lat/);
  expect([field.getAttribute("aria-invalid"), document.activeElement]).toEqual(["true", field]);
  expect(screen.getByText("The arguments do not fit.")).toBeTruthy();
  approve();
  expect(field.getAttribute("aria-invalid")).toBeNull();
});

test("a tool can be allowed always", () => {
  const { decide } = show("awaiting-approval", { schema });
  fireEvent.click(screen.getByLabelText(/Always allow/));
  approve();
  expect(decide.mock.calls[0][2].always).toBe(true);
});

test("a call that may have run says so before it runs again", () => {
  show("awaiting-approval", { schema, again: true });
  expect(screen.getByText(/may have taken effect already/)).toBeTruthy();
  expect(screen.getByTestId("approve").textContent).toBe("Run again");
});

test("Enter in a field decides nothing, and Escape in a field does not reach the page", () => {
  const { decide } = show("awaiting-approval", { schema });
  const field = screen.getByLabelText(/^City/);
  fireEvent.keyDown(field, { key: "Enter" });
  expect(decide).not.toHaveBeenCalled();
  expect(fireEvent.keyDown(field, { key: "Escape" })).toBe(false);
});

test("what is typed survives a change of the call elsewhere, and a closed panel", () => {
  const { become } = show("awaiting-approval", { schema });
  type(/^City/, "Quito");
  become("awaiting-approval", { schema, progress: ["one"] });
  expect(screen.getByLabelText<HTMLInputElement>(/^City/).value).toBe("Quito");
  toggle(panel(), false);
  expect(screen.getByLabelText<HTMLInputElement>(/^City/).value).toBe("Quito");
});

test("when the form goes, the focus stays in the panel", () => {
  const { become } = show("awaiting-approval", { schema });
  screen.getByTestId("approve").focus();
  become("running");
  expect(document.activeElement).toBe(panel().querySelector("summary"));
});

test("a panel says its state, its duration and its progress, and remembers that it was closed", () => {
  const first = show("running", { progress: ["half"], server: "files" });
  expect(panel().dataset.state).toBe("running");
  expect(within(panel()).getByText("half")).toBeTruthy();
  first.become("done", { result: "sunny", duration_ms: 1234 });
  expect(panel().querySelector("summary")?.textContent).toContain("done · 1.2 s");
  // The browser's search finds it all the same.
  expect(screen.getByText("sunny")).toBeTruthy();
  toggle(panel(), true);
  first.unmount();
  show("done", { result: "sunny" }, first.id);
  expect(panel().open).toBe(true);
  toggle(panel(), false);
  cleanup();
  show("running", {}, first.id);
  expect(panel().open).toBe(false);
});

test("a call that is done is one line, with what it was about; what failed, or is to be looked at, stays open", () => {
  const { become } = show("running");
  expect(panel().open).toBe(true);
  become("done", { result: "sunny", duration_ms: 300 });
  expect(panel().open).toBe(false);
  expect(panel().querySelector("summary")?.textContent).toBe("weatherLimadone · 0.3 s");
  cleanup();
  for (const state of ["error", "timeout", "denied", "unknown"] as const) {
    show(state, { error: "Why." });
    expect(panel().open).toBe(true);
    cleanup();
  }
  show("done", { result: { $view: "table", columns: ["a"], rows: [[1]] } });
  expect(panel().open).toBe(true);
});

const fallbacks = {
  type: "object",
  properties: {
    city: { type: "string" },
    days: { type: "integer", default: 5 },
    fine: { type: "boolean", default: true },
    unit: { enum: ["metric", "imperial"], default: "metric" },
    tags: { type: "array", items: { type: "string" }, default: ["a", "b"] },
  },
  required: ["city"],
};

test("the values that will be used stand beside the buttons, and what an empty field stands for in it", () => {
  const { decide } = show("awaiting-approval", { schema: fallbacks, arguments: { city: "Lima" } });
  const about = () => screen.getByTestId("decided-about").textContent;
  expect(about()).toBe("weatherCity: LimaDays: 5Fine: yesUnit: metric1 more");
  expect(screen.getByTestId("approve").parentElement).toBe(screen.getByTestId("decided-about").parentElement);
  expect(screen.getByLabelText<HTMLInputElement>(/^Days/).placeholder).toBe("5 (default)");
  const chosen = (label: RegExp) => screen.getByLabelText<HTMLSelectElement>(label).selectedOptions[0].textContent;
  expect([chosen(/^Fine/), chosen(/^Unit/)]).toEqual(["Yes (default)", "metric (default)"]);
  expect(screen.getByText('[ "a", "b" ] (default)')).toBeTruthy();
  type(/^City/, "Quito");
  expect(about()).toContain("City: Quito");
  approve();
  expect(decide.mock.calls[0][2].arguments).toEqual({ city: "Quito" });
});

test("what is typed survives a reload until the call is decided, and no other call gets it", () => {
  const waits = { schema, id: "again" };
  const first = show("awaiting-approval", waits, "kept");
  type(/^City/, "Quito");
  fireEvent.change(screen.getByLabelText(/Reason/), { target: { value: "because" } });
  cleanup();
  show("awaiting-approval", { ...waits, arguments: { ...args, days: 4 } }, "kept");
  expect(screen.getByLabelText<HTMLInputElement>(/^City/).value).toBe("Lima");
  cleanup();
  const second = show("awaiting-approval", waits, first.id);
  expect(screen.getByLabelText<HTMLInputElement>(/^City/).value).toBe("Quito");
  expect(screen.getByLabelText<HTMLInputElement>(/Reason/).value).toBe("because");
  const part = { type: "tool_call", id: "again", name: "weather", state: "running", arguments: args } as const;
  second.feed(open([streaming("kept", "", 1, { parts: [part] })]));
  second.become("running", { id: "again" });
  cleanup();
  show("awaiting-approval", waits, first.id);
  expect(screen.getByLabelText<HTMLInputElement>(/^City/).value).toBe("Lima");
});

test("a form that another tab answered is told from one that was answered here", () => {
  const elsewhere = show("awaiting-approval", { schema });
  elsewhere.become("running");
  expect(elsewhere.chat.decidedElsewhere.get()).toBeGreaterThan(0);
  cleanup();
  const here = show("awaiting-approval", { schema });
  approve();
  here.become("running");
  expect(here.chat.decidedElsewhere.get()).toBe(Number.NEGATIVE_INFINITY);
});

test("a result is shown as what it is, and what is large only on demand", () => {
  const { become } = show("done", { result: { $view: "table", columns: ["a"], rows: [[1], [2]] } });
  expect(panel().querySelectorAll("tbody tr").length).toBe(2);
  become("done", { result: { $view: "image", media_type: "image/png", data: "QUJD", name: "A" } });
  expect(screen.getByAltText("A").getAttribute("src")).toBe("data:image/png;base64,QUJD");
  become("done", { result: { $view: "image", media_type: "image/png", file_id: "f-1", width: 3, height: 2 } });
  expect(screen.getByAltText("Picture from weather").getAttribute("src")).toBe("/api/files/f-1");
  const image = { $view: "image", media_type: "image/png", file_id: "f-2", name: "B" };
  become("done", { result: { $view: "content", items: ["two things", image, { a: 1 }] } });
  expect(panel().querySelectorAll(".tool-result").length).toBe(3);
  expect(panel().textContent).toContain("two things");
  expect(screen.getByAltText("B").getAttribute("src")).toBe("/api/files/f-2");
  become("done", { result: "x".repeat(30_000) });
  expect(panel().textContent).not.toContain("xxx");
  fireEvent.click(screen.getByText(/^Show result/));
  expect(panel().textContent).toContain("xxx");
});

test("names, arguments and results of strangers are text", () => {
  show("done", { name: "<b>x</b>", arguments: { "<i>": "<img src=x>" }, result: { html: "<script>1</script>" } });
  expect(panel().querySelectorAll("b, i, img, script").length).toBe(0);
  expect(panel().textContent).toContain("<script>1</script>");
});

test("of several calls that wait, each says which one it is", () => {
  const { feed } = show("awaiting-approval", {}, "two");
  const call = (id: string, state: ToolCallPart["state"] = "awaiting-approval") =>
    ({ type: "tool_call", id, name: "weather", state, arguments: args }) as const;
  expect(screen.queryByText("2 of 2")).toBeNull();
  feed(open([streaming("two", "", 0, { status: "waiting", parts: [call("s"), call("t")] })]));
  expect(screen.getByText("2 of 2")).toBeTruthy();
  feed(open([streaming("two", "", 1, { status: "waiting", parts: [call("s", "done"), call("t")] })]));
  expect(screen.queryByText(/ of 2/)).toBeNull();
});
