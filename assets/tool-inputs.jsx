// The inputs of a form that was made from a JSON schema; see `tool-form.js`.

import { useId, useRef } from "react";

import { draftOf } from "./tool-form.js";
import { hasUnseen } from "./tool-views.js";

// The fields of a group, without a frame around them.
export function Inputs({ group, draft, onChange, errors, disabled, path = "" }) {
  return group.fields.map((field) => {
    const at = `${path}/${field.key}`;
    const change = (value) => onChange({ ...draft, [field.key]: value });
    return <Labelled key={field.key} field={field} draft={draft[field.key]} onChange={change} errors={errors} disabled={disabled} path={at} />;
  });
}

function Labelled({ field, draft, onChange, errors, disabled, path }) {
  const id = useId();
  const error = errors.get(path);
  const described = [field.description && `${id}d`, error && `${id}e`].filter(Boolean).join(" ") || undefined;
  const shared = { field, draft, onChange, disabled, id, described, invalid: !!error };
  const notes = (
    <>
      {error && (
        <p className="tool-error" id={`${id}e`}>
          {error}
        </p>
      )}
      {typeof draft === "string" && hasUnseen(draft) && <p className="unseen">This contains characters that cannot be seen.</p>}
      {field.description && (
        <p className="hint" id={`${id}d`} dir="auto">
          {field.description}
        </p>
      )}
    </>
  );
  if (field.kind === "group" || field.kind === "list") {
    return (
      <fieldset className="input" aria-describedby={described}>
        <legend>
          <Name field={field} />
        </legend>
        {field.kind === "group" ? (
          <Inputs group={field} draft={draft} onChange={onChange} errors={errors} disabled={disabled} path={path} />
        ) : (
          <List {...shared} errors={errors} path={path} />
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
      <Input {...shared} />
      {notes}
    </div>
  );
}

function Name({ field: { label, required, kind } }) {
  return (
    <>
      <bdi>{label}</bdi>
      {kind === "json" && <span className="kind"> JSON</span>}
      {!required && <span className="kind"> optional</span>}
    </>
  );
}

const NUMBERS = { integer: "numeric", number: "decimal" };

function Input({ field, draft, onChange, disabled, id, described, invalid, label }) {
  const common = { id, disabled, "aria-describedby": described, "aria-invalid": invalid || undefined, "aria-label": label };
  const typed = (event) => onChange(event.target.value);
  switch (field.kind) {
    case "boolean":
      return <input type="checkbox" {...common} checked={draft} onChange={(event) => onChange(event.target.checked)} />;
    case "choice":
      return (
        <select {...common} value={draft} onChange={typed}>
          {(draft === "" || !field.required || field.nullable) && <option value="">–</option>}
          {field.options.map((option, i) => (
            <option key={i} value={String(i)}>
              {typeof option === "boolean" ? (option ? "Yes" : "No") : String(option)}
            </option>
          ))}
        </select>
      );
    case "long":
    case "json":
      return <textarea {...common} className={field.kind === "json" ? "code-text" : ""} rows={3} dir={field.kind === "json" ? "ltr" : "auto"} spellCheck={false} value={draft} onChange={typed} />;
    default:
      return <input type="text" {...common} inputMode={NUMBERS[field.kind]} dir="auto" autoComplete="off" spellCheck={false} value={draft} onChange={typed} />;
  }
}

function List({ field, draft, onChange, disabled, id, errors, path }) {
  const next = useRef(draft.length);
  const set = (i, value) => onChange(draft.map((item, j) => (j === i ? { ...item, draft: value } : item)));
  const add = () => onChange([...draft, { id: next.current++, draft: draftOf(field.item, undefined) }]);
  return (
    <>
      <ol>
        {draft.map((item, i) => (
          <li key={item.id}>
            <Input field={field.item} draft={item.draft} onChange={(value) => set(i, value)} disabled={disabled} id={`${id}${item.id}`} invalid={errors.has(`${path}/${i}`)} label={`${field.label}, item ${i + 1}`} />
            <button type="button" className="quiet" disabled={disabled} aria-label={`Remove item ${i + 1}`} onClick={() => onChange(draft.filter((_, j) => j !== i))}>
              Remove
            </button>
            {errors.has(`${path}/${i}`) && <p className="tool-error">{errors.get(`${path}/${i}`)}</p>}
          </li>
        ))}
      </ol>
      <button type="button" className="quiet add" disabled={disabled} onClick={add}>
        Add item
      </button>
    </>
  );
}
