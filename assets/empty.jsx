// The page before the first message.

import { useSyncExternalStore } from "react";

import { offered } from "./models.js";
import { offeredModels, submitting } from "./session.js";

export function Empty({ suggestions }) {
  const models = useSyncExternalStore(offeredModels.subscribe, offeredModels.get, offeredModels.get);
  return (
    <div className="empty">
      <img src="/favicon.svg" alt="" width="44" height="44" />
      <h1>streamchat</h1>
      <p>Ask any model. The answer arrives word by word, and stays, whatever happens to this page.</p>
      <ul className="suggestions">
        {offered(suggestions, models).map(({ label, text, model }) => (
          <li key={label}>
            <button type="button" onClick={() => submitting.get()?.(text, model)}>
              <strong>{label}</strong>
              <span>{text}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
