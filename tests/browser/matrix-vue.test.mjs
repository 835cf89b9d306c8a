// The Vue example in every client: matrix.mjs has the table.

import { matrix } from "./matrix.mjs";
import { spa } from "./spa.mjs";

matrix(spa("the Vue example", "vue"));
