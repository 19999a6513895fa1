// The inputs of a form that was made from a JSON schema; see `schema-form.ts`.

import { type ChangeEvent, useId, useRef } from "react";
import { strings, useStrings } from "../common/strings";
import { type Draft, type DraftItem, draftOf, type Field, type Group, type GroupDraft } from "./schema-form";
import { clip, formatCell, hasInvisible } from "./values";

type Errors = ReadonlyMap<string, string>;

interface InputsProps {
  group: Group;
  draft: GroupDraft;
  onChange: (draft: GroupDraft) => void;
  /** Error messages by the path of their field. */
  errors: Errors;
  disabled: boolean;
  path?: string;
}

/** The fields of a group, without a frame around them. */
export function Inputs({ group, draft, onChange, errors, disabled, path = "" }: InputsProps) {
  return group.fields.map((field) => (
    <LabelledInput
      key={field.key}
      field={field}
      draft={draft[field.key]}
      onChange={(value) => onChange({ ...draft, [field.key]: value })}
      errors={errors}
      disabled={disabled}
      path={`${path}/${field.key}`}
    />
  ));
}

interface LabelledProps {
  field: Field;
  draft: Draft;
  onChange: (draft: Draft) => void;
  errors: Errors;
  disabled: boolean;
  path: string;
}

function LabelledInput({ field, draft, onChange, errors, disabled, path }: LabelledProps) {
  const t = useStrings().tools;
  const id = useId();
  const error = errors.get(path);
  const describedBy = [field.description && `${id}d`, error && `${id}e`].filter(Boolean).join(" ") || undefined;
  const notes = (
    <>
      {error && (
        <p className="tool-error" id={`${id}e`}>
          {error}
        </p>
      )}
      {defaultOf(field) !== undefined &&
        (field.kind === "group" || field.kind === "list") &&
        field.initial === undefined && <p className="hint">{defaultOf(field)}</p>}
      {typeof draft === "string" && hasInvisible(draft) && <p className="unseen">{t.invisible}</p>}
      {field.description && (
        <p className="hint" id={`${id}d`} dir="auto">
          {field.description}
        </p>
      )}
    </>
  );
  if (field.kind === "group" || field.kind === "list") {
    const shared = { onChange, disabled, errors, path };
    return (
      <fieldset className="input" aria-describedby={describedBy}>
        <legend>
          <Name field={field} />
        </legend>
        {field.kind === "group" ? (
          <Inputs group={field} draft={draft as GroupDraft} {...shared} />
        ) : (
          <ListInput field={field} draft={draft as DraftItem[]} id={id} {...shared} />
        )}
        {notes}
      </fieldset>
    );
  }
  return (
    <div className="input" data-kind={field.kind}>
      <label htmlFor={id}>
        <Name field={field} />
      </label>
      <Input
        field={field}
        draft={draft}
        onChange={onChange}
        disabled={disabled}
        id={id}
        describedBy={describedBy}
        invalid={!!error}
      />
      {notes}
    </div>
  );
}

// What an empty field stands for.
function defaultOf({ fallback }: Field): string | undefined {
  if (fallback === undefined) return undefined;
  const t = strings().tools;
  const value = typeof fallback === "boolean" ? (fallback ? t.yes : t.no) : clip(formatCell(fallback), 200);
  return t.defaultValue(value || t.empty);
}

function Name({ field: { label, required, kind } }: { field: Field }) {
  const t = useStrings().tools;
  return (
    <>
      <bdi>{label}</bdi>
      {kind === "json" && <span className="kind">{` ${t.json}`}</span>}
      {!required && <span className="kind">{` ${t.optional}`}</span>}
    </>
  );
}

const INPUT_MODES: Partial<Record<Field["kind"], "numeric" | "decimal">> = { integer: "numeric", number: "decimal" };

interface InputProps {
  field: Field;
  draft: Draft;
  onChange: (draft: Draft) => void;
  disabled: boolean;
  id: string;
  invalid: boolean;
  describedBy?: string;
  label?: string;
}

function Input({ field, draft, onChange, disabled, id, invalid, describedBy, label }: InputProps) {
  const common = {
    id,
    disabled,
    "aria-describedby": describedBy,
    "aria-invalid": invalid || undefined,
    "aria-label": label,
  };
  const text = {
    ...common,
    spellCheck: false,
    placeholder: defaultOf(field),
    value: draft as string,
    onChange: (event: ChangeEvent<HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement>) =>
      onChange(event.target.value),
  };
  switch (field.kind) {
    case "boolean":
      return (
        <input
          type="checkbox"
          {...common}
          checked={draft as boolean}
          onChange={(event) => onChange(event.target.checked)}
        />
      );
    case "choice": {
      const { spellCheck: _, placeholder = "–", ...select } = text;
      return (
        <select {...select}>
          {(draft === "" || !field.required || field.nullable) && <option value="">{placeholder}</option>}
          {field.options.map((option, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the value of an option is its index
            <option key={i} value={String(i)}>
              {typeof option === "boolean" ? (option ? strings().tools.yes : strings().tools.no) : String(option)}
            </option>
          ))}
        </select>
      );
    }
    case "long":
      return <textarea {...text} className="" rows={3} dir="auto" />;
    case "json":
      return <textarea {...text} className="code-text" rows={3} dir="ltr" />;
    default:
      return <input type="text" {...text} inputMode={INPUT_MODES[field.kind]} dir="auto" autoComplete="off" />;
  }
}

interface ListProps {
  field: Extract<Field, { kind: "list" }>;
  draft: DraftItem[];
  onChange: (draft: Draft) => void;
  disabled: boolean;
  id: string;
  errors: Errors;
  path: string;
}

function ListInput({ field, draft, onChange, disabled, id, errors, path }: ListProps) {
  const t = useStrings().tools;
  const nextId = useRef(draft.length);
  const change = (i: number, value: Draft) =>
    onChange(draft.map((item, j) => (j === i ? { ...item, draft: value } : item)));
  const add = () => {
    onChange([...draft, { id: nextId.current, draft: draftOf(field.item, undefined) }]);
    nextId.current += 1;
  };
  return (
    <>
      <ol>
        {draft.map((item, i) => (
          <li key={item.id}>
            <Input
              field={field.item}
              draft={item.draft}
              onChange={(value) => change(i, value)}
              disabled={disabled}
              id={`${id}${item.id}`}
              invalid={errors.has(`${path}/${i}`)}
              label={t.item(field.label, i + 1)}
            />
            <button
              type="button"
              className="quiet"
              disabled={disabled}
              aria-label={t.removeItem(i + 1)}
              onClick={() => onChange(draft.filter((_, j) => j !== i))}
            >
              {t.remove}
            </button>
            {errors.has(`${path}/${i}`) && <p className="tool-error">{errors.get(`${path}/${i}`)}</p>}
          </li>
        ))}
      </ol>
      <button type="button" className="quiet add" disabled={disabled} onClick={add}>
        {t.addItem}
      </button>
    </>
  );
}
