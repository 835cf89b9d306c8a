// The React example in a client of each kind: matrix.mjs has the table.

import { CLIENT_KINDS } from "./clients.mjs";
import { matrix } from "./matrix.mjs";
import { spa } from "./spa.mjs";

matrix(spa("the React example", "react"), CLIENT_KINDS);
