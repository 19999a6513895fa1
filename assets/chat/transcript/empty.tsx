// The page before the first message.

import { useChat } from "../chat";
import { useShared } from "../common/shared-value";
import { type Suggestion, usableSuggestions } from "../composer/models";

export function Empty({ suggestions }: { suggestions: Suggestion[] }) {
  const { models, submit } = useChat();
  const offered = useShared(models);
  return (
    <div className="empty">
      <img src="/favicon.svg" alt="" width="44" height="44" />
      <h1>streamchat</h1>
      <p>Ask any model. The answer arrives word by word, and is kept even if this page is closed.</p>
      <ul className="suggestions">
        {usableSuggestions(suggestions, offered).map(({ label, text, model }) => (
          <li key={label}>
            <button type="button" onClick={() => submit.get()?.(text, model)}>
              <strong>{label}</strong>
              <span>{text}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
