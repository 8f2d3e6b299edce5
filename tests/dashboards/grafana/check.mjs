// node check.mjs schema.json, [[name, property of Grafana, value], ...] on stdin: a line for all that the type does not have.

import { readFileSync } from 'node:fs';
import Ajv from 'ajv';

const schema = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const ajv = new Ajv({ allErrors: true, strict: false });

for (const [name, property, value] of JSON.parse(readFileSync(0, 'utf8'))) {
  const valid = ajv.compile({ ...schema, $ref: `#/definitions/Grafana/properties/${property}` });
  valid(value);
  for (const { instancePath, message, params } of valid.errors ?? []) {
    console.log(`${name} ${instancePath} ${message} ${JSON.stringify(params)}`);
  }
}
