import { strings } from "./strings";

/** A cost in US dollars with the two digits that count: `$12.30`, `$0.0042`. */
export function dollars(cost: number): string {
  if (cost < 1e-6) return cost === 0 ? "$0.00" : strings().common.tiny("$0.000001");
  return `$${cost.toFixed(Math.max(2, 1 - Math.floor(Math.log10(cost))))}`;
}
