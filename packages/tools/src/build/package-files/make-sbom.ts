import { Enums, Models, Serialize, Spec } from '@cyclonedx/cyclonedx-library';
import { sha256Hex } from '@selvedge/runtime';
import type { Component } from './debian-components.ts';

export interface SbomSubject {
  readonly model: string;
  readonly version: string;
  readonly target: string;
  readonly modelSha256: string;
}

/** A UUID (version 8: of our own making) that follows from a text. */
function uuidOf(text: string): string {
  const digits = sha256Hex(text);
  const variant = '89ab'[Number.parseInt(digits.slice(16, 17), 16) % 4];
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    `8${digits.slice(13, 16)}`,
    `${variant}${digits.slice(17, 20)}`,
    digits.slice(20, 32),
  ].join('-');
}

function hashesOf(sha256: string): Models.HashDictionary {
  return new Models.HashDictionary([[Enums.HashAlgorithm['SHA-256'], sha256]]);
}

function libraryOf({ name, version, purl, sha256, licences }: Component): Models.Component {
  return new Models.Component(Enums.ComponentType.Library, name, {
    bomRef: purl ?? name,
    hashes: hashesOf(sha256),
    licenses: new Models.LicenseRepository(licences.map((licence) => new Models.NamedLicense(licence))),
    ...(version === undefined ? {} : { version }),
    ...(purl === undefined ? {} : { purl }),
  });
}

/**
 * The parts list of a package: CycloneDX 1.6 JSON. Without a time, and with a serial number that follows from the
 * contents, so that the same package gives the same bytes.
 */
export function makeSbom(subject: SbomSubject, components: readonly Component[]): string {
  const identity = JSON.stringify([subject, components.map(({ name, version, sha256 }) => [name, version, sha256])]);
  const product = new Models.Component(Enums.ComponentType.Application, `${subject.model}-${subject.target}`, {
    bomRef: 'package',
    version: subject.version,
  });
  const model = new Models.Component(Enums.ComponentType.MachineLearningModel, subject.model, {
    bomRef: 'model',
    version: subject.version,
    hashes: hashesOf(subject.modelSha256),
  });
  const libraries = components.map(libraryOf);
  for (const part of [model, ...libraries]) product.dependencies.add(part.bomRef);
  const bom = new Models.Bom({
    serialNumber: `urn:uuid:${uuidOf(identity)}`,
    version: 1,
    metadata: new Models.Metadata({ component: product }),
    components: new Models.ComponentRepository([model, ...libraries]),
  });
  const serializer = new Serialize.JsonSerializer(new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6));
  return `${serializer.serialize(bom, { sortLists: true, space: 2 })}\n`;
}
