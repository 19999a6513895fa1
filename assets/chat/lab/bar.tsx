// The bar above a page beside the chat: the way back, and the theme.

import { ArrowLeft, Moon, Sun } from "lucide-react";
import { useColorMode } from "../common/reflex";
import { useShown, useStrings } from "../common/strings";

export function Bar() {
  const t = useStrings().shell;
  useShown();
  const { mode, choose } = useColorMode();
  const label = mode === "dark" ? t.lightTheme : t.darkTheme;
  const toggle = () => choose(mode === "dark" ? "light" : "dark");
  return (
    <header className="lab-bar">
      <a className="quiet" href="/">
        <ArrowLeft size={16} />
        {t.chat}
      </a>
      <button type="button" className="icon" onClick={toggle} aria-label={label} title={label}>
        <Sun className="sun" size={18} />
        <Moon className="moon" size={18} />
      </button>
    </header>
  );
}
