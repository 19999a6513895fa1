// What opens over the page: the palette of commands, the list of shortcuts, the settings of this browser.

import "./overlays.css";

import { useChat } from "../chat";
import { Dialog } from "../common/dialog";
import { type ColorMode, useColorMode } from "../common/reflex";
import { useShared } from "../common/shared-value";
import { chooseLanguage, LANGUAGES, type Language, useLanguage, useStrings } from "../common/strings";
import { Palette } from "./palette";

export default function Overlays() {
  const { overlay } = useChat();
  const open = useShared(overlay);
  const close = () => overlay.set(null);
  if (open === "palette") return <Palette onClose={close} />;
  if (open === "shortcuts") return <Shortcuts onClose={close} />;
  return open && <Settings onClose={close} />;
}

interface Props {
  onClose: () => void;
}

function Shortcuts({ onClose }: Props) {
  const t = useStrings().shell;
  const command = isApple() ? "⌘" : t.ctrl;
  const keys: [string[], string][] = [
    [[command, "K"], t.keyPalette],
    [[command, "⇧", "O"], t.newChat],
    [["/"], t.keyComposer],
    [["↵"], t.keySend],
    [["⇧", "↵"], t.keyLine],
    [[t.esc], t.keyEscape],
    [["@"], t.keyPreset],
    [["/"], t.keyPrompt],
    [[t.end], t.keyEnd],
    [["?"], t.shortcuts],
  ];
  return (
    <Dialog title={t.shortcuts} onClose={onClose}>
      <dl className="shortcuts" data-testid="shortcuts">
        {keys.map(([names, what]) => (
          <div key={what}>
            <dt>{what}</dt>
            <dd>
              {names.map((name) => (
                <kbd key={name}>{name}</kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
      <CloseButton onClose={onClose} />
    </Dialog>
  );
}

function Settings({ onClose }: Props) {
  const t = useStrings().shell;
  const { choice, choose } = useColorMode();
  const language = useLanguage();
  const modes: [ColorMode, string][] = [
    ["system", t.themeSystem],
    ["light", t.themeLight],
    ["dark", t.themeDark],
  ];
  return (
    <Dialog title={t.settings} onClose={onClose}>
      <div className="settings" data-testid="settings-dialog">
        <fieldset>
          <legend>{t.theme}</legend>
          {modes.map(([mode, label]) => (
            <label key={mode}>
              <input
                type="radio"
                name="theme"
                data-testid={`theme-${mode}`}
                checked={choice === mode}
                onChange={() => choose(mode)}
              />
              {label}
            </label>
          ))}
        </fieldset>
        <label>
          {t.language}
          <select
            className="field"
            data-testid="language"
            value={language}
            onChange={(event) => chooseLanguage(event.target.value as Language)}
          >
            {Object.entries(LANGUAGES).map(([tag, name]) => (
              <option key={tag} value={tag} lang={tag}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <p className="note">{t.settingsKept}</p>
      </div>
      <CloseButton onClose={onClose} />
    </Dialog>
  );
}

function CloseButton({ onClose }: Props) {
  const t = useStrings().shell;
  return (
    <div className="dialog-buttons">
      <button type="button" className="button primary" onClick={onClose}>
        {t.done}
      </button>
    </div>
  );
}

function isApple(): boolean {
  return /mac|iphone|ipad/i.test(navigator.platform);
}
