// Which tools this conversation may use: a list that is asked for when it is opened, with a switch for each.

import { useEffect, useId, useRef, useState } from "react";
import { useLocation } from "react-router";

import { store } from "./session.js";
import "./tool-menu.css";

const STATES = { connecting: "connecting …", failed: "not available" };

export function ToolMenu({ onTools, onSwitch }) {
  const { pathname } = useLocation();
  const [open, setOpen] = useState(false);
  const [list, setList] = useState(null);
  const frame = useRef(null);
  const button = useRef(null);
  const id = useId();
  useEffect(() => store.onFrame((told) => told.k === "tools" && setList(told)), []);
  useEffect(() => setOpen(false), [pathname]);
  useDismissed(open, frame, button, setOpen);
  // Shown at once; the list that the server sends then holds.
  const turn = (name, on) => {
    const turned = (row) => (row.name === name ? { ...row, on } : row);
    setList((told) => told && { ...told, tools: told.tools.map(turned), servers: told.servers.map(turned) });
    onSwitch(name, on);
  };
  const toggle = () => {
    if (!open) {
      setList(null);
      onTools();
    }
    setOpen(!open);
  };
  return (
    <div className="tool-menu" ref={frame}>
      <button type="button" className="icon" data-testid="tools" aria-label="Tools" title="Tools" aria-expanded={open} aria-controls={id} onClick={toggle} ref={button}>
        <svg viewBox="0 0 16 16" width="18" height="18" aria-hidden="true" fill="none" stroke="currentColor" strokeWidth="1.4">
          <path d="M9.6 3.1a3.4 3.4 0 0 0-.7 3.7L2.9 12.8a1.06 1.06 0 0 0 1.5 1.5l5.9-6.1a3.4 3.4 0 0 0 4.3-4.3l-2 2-1.9-.5-.5-1.9 2-2a3.4 3.4 0 0 0-2.6 1.4Z" strokeLinejoin="round" />
        </svg>
      </button>
      {open && (
        <div className="tool-list" id={id} role="group" aria-label="Tools of this conversation">
          {list ? <List list={list} onSwitch={turn} /> : <p className="note">Loading …</p>}
        </div>
      )}
    </div>
  );
}

// Going elsewhere closes it, and Escape, which then does not also stop the answer.
function useDismissed(open, frame, button, setOpen) {
  useEffect(() => {
    if (!open) return;
    const went = (event) => {
      if (!frame.current.contains(event.target)) setOpen(false);
    };
    const pressed = (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      if (frame.current.contains(document.activeElement)) button.current.focus({ preventScroll: true });
      setOpen(false);
    };
    document.addEventListener("pointerdown", went);
    document.addEventListener("focusin", went);
    document.addEventListener("keydown", pressed, { capture: true });
    return () => {
      document.removeEventListener("pointerdown", went);
      document.removeEventListener("focusin", went);
      document.removeEventListener("keydown", pressed, { capture: true });
    };
  }, [open, frame, button, setOpen]);
}

function List({ list: { tools, servers, conversation }, onSwitch }) {
  const own = tools.filter((tool) => !servers.some((server) => server.name === tool.server));
  const fixed = !conversation;
  return (
    <>
      {!tools.length && !servers.length && <p className="note">There are no tools here.</p>}
      {fixed && tools.length > 0 && <p className="note">Once a conversation has begun, its tools can be switched off here.</p>}
      {own.map((tool) => (
        <Switch key={tool.name} row={tool} fixed={fixed} onSwitch={onSwitch} />
      ))}
      {servers.map((server) => (
        <section key={server.name}>
          <Switch row={{ ...server, description: server.sentence || STATES[server.state] || "" }} fixed={fixed} onSwitch={onSwitch} server />
          {tools
            .filter((tool) => tool.server === server.name)
            .map((tool) => (
              <Switch key={tool.name} row={{ ...tool, on: tool.on && server.on }} fixed={fixed || !server.on} onSwitch={onSwitch} />
            ))}
        </section>
      ))}
    </>
  );
}

function Switch({ row: { name, description, asks, on, state }, fixed, onSwitch, server = false }) {
  return (
    <label className={server ? "switch server" : "switch"} data-state={state}>
      <input type="checkbox" checked={on} disabled={fixed} onChange={(event) => onSwitch(name, event.target.checked)} />
      <span>
        <bdi className="name">{name}</bdi>
        {asks && <span className="asks">asks first</span>}
        {description && (
          <span className="about" dir="auto">
            {description}
          </span>
        )}
      </span>
    </label>
  );
}
