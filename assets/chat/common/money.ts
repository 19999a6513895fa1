import { strings } from "./strings";

/** A cost in US dollars with the two digits that count: `$12.30`, `$0.0042`. */
export function dollars(cost: number): string {
  const t = strings().common;
  if (cost > 0 && cost < 1e-6) return t.tiny(t.dollars(1e-6, 6));
  return t.dollars(cost, cost ? Math.max(2, 1 - Math.floor(Math.log10(cost))) : 2);
}
