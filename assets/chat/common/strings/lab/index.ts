// All texts of the pages `/lab` and `/latency`, apart from those of the chat, which does not load them.

import { Catalogue } from "../catalogue";
import { en } from "./en";

const catalogue = new Catalogue(en, { de: () => import("./de").then(({ de }) => de) });

export const useLabStrings = catalogue.use;
export const labStrings = catalogue.get;
