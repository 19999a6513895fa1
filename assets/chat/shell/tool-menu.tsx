// The tools of this conversation: a list that is requested when it is opened, with a switch for each tool.

import "./tool-menu.css";

import { Wrench } from "lucide-react";
import { useEffect, useId, useRef, useState } from "react";
import { useChat } from "../chat";
import { usePlace } from "../common/address";
import { useDismiss } from "../common/dismiss";
import { type Strings, useStrings } from "../common/strings";
import type { ServerRow, ToolRow, ToolsFrame } from "../store/frames";

const stateText = (state: string, t: Strings["shell"]) =>
  ({ connecting: t.connecting, failed: t.notAvailable })[state] ?? "";

interface Props {
  onTools: () => void;
  onSwitch: (name: string, on: boolean) => void;
}

export function ToolMenu({ onTools, onSwitch }: Props) {
  const t = useStrings().shell;
  const { store } = useChat();
  const place = usePlace();
  const [open, setOpen] = useState(false);
  const [list, setList] = useState<ToolsFrame | null>(null);
  const frame = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();
  useEffect(() => store.onFrame((frame) => frame.k === "tools" && setList(frame)), [store]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: moving to another address closes it
  useEffect(() => setOpen(false), [place]);
  useDismiss(open, frame, button, () => setOpen(false));
  // Shown at once; the list that the server sends replaces it.
  const turn = (name: string, on: boolean) => {
    const turned = <Row extends { name: string }>(row: Row) => (row.name === name ? { ...row, on } : row);
    setList((old) => old && { ...old, tools: old.tools.map(turned), servers: old.servers.map(turned) });
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
      <button
        type="button"
        className="icon"
        data-testid="tools"
        aria-label={t.tools}
        title={t.tools}
        aria-expanded={open}
        aria-controls={id}
        onClick={toggle}
        ref={button}
      >
        <Wrench size={18} />
      </button>
      {open && (
        <div className="tool-list" id={id} role="group" aria-label={t.toolsOfConversation}>
          {list ? <ToolList list={list} onSwitch={turn} /> : <p className="note">{t.loading}</p>}
        </div>
      )}
    </div>
  );
}

interface ListProps {
  list: ToolsFrame;
  onSwitch: (name: string, on: boolean) => void;
}

function ToolList({ list: { tools, servers, conversation }, onSwitch }: ListProps) {
  const t = useStrings().shell;
  const own = tools.filter((tool) => !servers.some((server) => server.name === tool.server));
  const fixed = !conversation;
  return (
    <>
      {!tools.length && !servers.length && <p className="note">{t.noTools}</p>}
      {fixed && tools.length > 0 && <p className="note">{t.toolsFixed}</p>}
      {own.map((tool) => (
        <Switch key={tool.name} row={tool} fixed={fixed} onSwitch={onSwitch} />
      ))}
      {servers.map((server) => (
        <section key={server.name}>
          <Switch row={serverRow(server, t)} fixed={fixed} onSwitch={onSwitch} server />
          {tools
            .filter((tool) => tool.server === server.name)
            .map((tool) => (
              <Switch
                key={tool.name}
                row={{ ...tool, on: tool.on && server.on }}
                fixed={fixed || !server.on}
                onSwitch={onSwitch}
              />
            ))}
        </section>
      ))}
    </>
  );
}

type SwitchRow = Pick<ToolRow, "name" | "description" | "on"> & { asks?: boolean; state?: string };

function serverRow(server: ServerRow, t: Strings["shell"]): SwitchRow {
  return { ...server, description: server.sentence || stateText(server.state, t) };
}

interface SwitchProps {
  row: SwitchRow;
  fixed: boolean;
  onSwitch: (name: string, on: boolean) => void;
  server?: boolean;
}

function Switch({ row: { name, description, asks, on, state }, fixed, onSwitch, server = false }: SwitchProps) {
  const t = useStrings().shell;
  return (
    <label className={server ? "switch server" : "switch"} data-state={state}>
      <input type="checkbox" checked={on} disabled={fixed} onChange={(event) => onSwitch(name, event.target.checked)} />
      <span>
        <bdi className="name">{name}</bdi>
        {asks && <span className="asks">{t.asksFirst}</span>}
        {description && (
          <span className="about" dir="auto">
            {description}
          </span>
        )}
      </span>
    </label>
  );
}
