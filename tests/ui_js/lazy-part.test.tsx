import { afterEach, expect, mock, spyOn, test } from "bun:test";
import { Suspense } from "react";
import { ErrorBoundary } from "../../assets/chat/common/error-boundary";
import { lazyPart } from "../../assets/chat/common/lazy-part";
import { fireEvent, renderChat, screen, waitFor } from "./dom";

// React logs what a boundary catches.
const logged = spyOn(console, "error").mockImplementation(() => {});
afterEach(() => logged.mockClear());

// A module that is not loaded as long as the network is `away`.
function part() {
  const network = { away: true };
  const Part = lazyPart(async () => {
    if (network.away) throw new TypeError("Failed to fetch dynamically imported module");
    return { default: ({ text }: { text: string }) => <output>{text}</output> };
  });
  return { network, Part };
}

test("code that is not loaded says so in its place, and is loaded when it is tried again", async () => {
  const { network, Part } = part();
  renderChat(
    <>
      <p>The conversation</p>
      <Suspense>
        <Part text="here" />
      </Suspense>
    </>,
  );
  fireEvent.click(await screen.findByTestId("load-again"));
  await waitFor(() => expect(screen.queryByRole("alert")).toBeNull());
  const again = await screen.findByRole("button", { name: "Try again" });
  expect(screen.getByRole("alert").textContent).toStartWith("This part could not be loaded: ");
  expect(screen.getByText("The conversation")).toBeTruthy();
  network.away = false;
  fireEvent.click(again);
  expect((await screen.findByText("here")).tagName).toBe("OUTPUT");
  expect(screen.queryByRole("alert")).toBeNull();
});

test("what closes if it is not loaded can be opened again", async () => {
  const { network, Part } = part();
  const onFailed = mock();
  const shown = (
    <Suspense>
      <Part text="here" onFailed={onFailed} />
    </Suspense>
  );
  const { replace } = renderChat(shown);
  await waitFor(() => expect(onFailed).toHaveBeenCalledTimes(1));
  expect(screen.queryByRole("alert")).toBeNull();
  replace(null);
  network.away = false;
  replace(shown);
  await screen.findByText("here");
});

test("a part that is loaded and breaks is not said to be missing", async () => {
  const Broken = lazyPart(async () => ({
    default: () => {
      throw new Error("a fault of its own");
    },
  }));
  renderChat(
    <ErrorBoundary text="What stands in its place.">
      <Suspense>
        <Broken />
      </Suspense>
    </ErrorBoundary>,
  );
  expect(await screen.findByText("What stands in its place.")).toBeTruthy();
  expect(screen.queryByRole("alert")).toBeNull();
});
