// Calls of the API by our own pages.

import { dateAndTime, t } from "../look/page.js";

// `caller(base, "/account")(method, path, body)`: the value of the response, or an error with the server's message.
export function caller(base, page) {
  return async (method, path, body) => {
    const answer = await fetch(`${base}/api${path}`, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    // The session has ended, unless it is the old password that was wrong: nothing more happens on this page.
    if (answer.status === 401 && path !== "/account/password") {
      location.assign(`${base}/sign-in?next=${page}`);
      return new Promise(() => {});
    }
    const value = answer.status === 204 ? null : await answer.json();
    if (!answer.ok) throw new Error(t(value.error.message));
    return value;
  };
}

export const when = (time) => (time ? dateAndTime(time) : t("never"));
