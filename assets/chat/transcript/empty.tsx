// The page before the first message: which models are ready, how to add one, and prompts that show what it can do.

import { useChat } from "../chat";
import { usePageSettings } from "../common/page-settings";
import { useShared } from "../common/shared-value";
import { useStrings } from "../common/strings";
import { builtIn, readyModels, usableSuggestions } from "../composer/models";

export function Empty() {
  const { transcript: t } = useStrings();
  const { name = "streamchat", suggestions } = usePageSettings();
  const { model, models, submit } = useChat();
  const [offered, chosen] = [useShared(models), useShared(model)];
  const prompts = suggestions ?? t.suggestions.map((prompt) => builtIn(prompt, offered, chosen));
  return (
    <div className="empty">
      <img src="/look/logo" alt="" width="44" height="44" />
      <h1>{name}</h1>
      <p>{t.welcome}</p>
      <ul className="suggestions">
        {usableSuggestions(prompts, offered).map(({ label, text, model }) => (
          <li key={label}>
            <button type="button" data-testid="suggestion" onClick={() => submit.get()?.(text, model)}>
              <strong>{label}</strong>
              <span>{text}</span>
            </button>
          </li>
        ))}
      </ul>
      <Ready />
    </div>
  );
}

const NAMED = 4; // models that are named; the picker has all

function Ready() {
  const { transcript: t, common } = useStrings();
  const { models } = useChat();
  const { labels, simulated } = readyModels(useShared(models));
  const known = labels.length + simulated > 0;
  const more = labels.length - NAMED;
  const names = [
    ...labels.slice(0, NAMED),
    ...(more > 0 ? [t.moreModels(more)] : []),
    ...(simulated ? [t.simulated] : []),
  ];
  return (
    <div className="ready" data-testid="ready-models" data-known={known}>
      {/* Its line is kept free until the models are known. */}
      <p>{known ? (labels.length ? t.ready(common.list(names)) : t.onlySimulated) : "\u00a0"}</p>
      <details>
        <summary>{t.addModel}</summary>
        <p>{t.addModelHow}</p>
        <ul>
          {t.addModelWays.map(({ what, setting }) => (
            <li key={setting}>
              {what} <code>{setting}</code>
            </li>
          ))}
        </ul>
      </details>
    </div>
  );
}
