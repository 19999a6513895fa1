// The bar above a page beside the chat: the way back, and the theme.

import { ArrowLeft, Moon, Sun } from "lucide-react";
import { useColorMode } from "../common/reflex";

export function Bar() {
  const { mode, toggle } = useColorMode();
  const label = `Use the ${mode === "dark" ? "light" : "dark"} theme`;
  return (
    <header className="lab-bar">
      <a className="quiet" href="/">
        <ArrowLeft size={16} />
        Chat
      </a>
      <button type="button" className="icon" onClick={toggle} aria-label={label} title={label}>
        <Sun className="sun" size={18} />
        <Moon className="moon" size={18} />
      </button>
    </header>
  );
}
