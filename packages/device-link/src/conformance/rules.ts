/** The rules of docs/reference/device-protocol.md, as far as they bind a device, each in one sentence. */
export const RULES = {
  R1: 'The device opens every connection, to one port that speaks TLS 1.2 or later, and behind it HTTP/1.1 and MQTT 3.1.1.',
  R2: 'It checks that the certificate of the server is of the pinned authority and for the fixed name, and trusts no other.',
  R3: 'Messages are JSON with v: 1; unknown fields are ignored, another v is refused.',
  R4: 'Times are ISO 8601 in UTC with milliseconds, digests lower-case hexadecimal; a message has a largest size.',
  R5: 'The device makes its key itself (EC P-256 or P-384, or RSA of 2048 bits or more) and sends a PKCS#10 request, never the key.',
  R6: 'The secret is not sent before the chain held the authority that the token names.',
  R7: 'The authority that is pinned is the one that the token vouches for.',
  R8: 'It renews at half of the life of its certificate, each time with a new key.',
  R9: 'Removed, it goes on and tries again only rarely.',
  R10: 'CONNECT: level 4, clean session, client id = name, user name = an id new with every start, no password, a last will on presence.',
  R11: 'It subscribes to desired and commands with QoS 1, then publishes presence online, then reported, after every connection.',
  R12: 'It publishes with QoS 1, sends again what was not acknowledged, and acknowledges desired when the order is on disk.',
  R13: 'It comes back after 0.5 s, doubling to 30 s, with jitter.',
  R14: 'It uses the topics of its own name only.',
  R15: 'A desired state is the whole truth; a lower revision than the known one is ignored.',
  R16: 'It keeps the last order on disk, and serves again from disk after a restart without the network.',
  R17: 'Nothing is served whose SHA-256 is not the ordered one; a broken download resumes where it broke.',
  R18: 'A native package is verified by its signature before a byte of it is unpacked.',
  R19: 'A new version gets traffic only after it has given its golden output.',
  R20: 'A version whose trial fails loses its traffic at once and is not tried again under the same id.',
  R21: 'Each gate of a trial is reported with its number.',
  R22: 'The sequence grows by one with each report of a process; instanceId is that of the session.',
  R23: 'servingVersion is what answers requests now.',
  R24: 'Samples come in batches; those of a time without a connection are sent afterwards.',
  R25: 'A command is answered once, also when it comes twice; an expired one is dropped, an unknown type answered with INPUT_INVALID.',
  R26: 'An inference carries at most a fixed size.',
  R27: 'JOIN_PENDING: it keeps its key and asks again with the same request; JOIN_REJECTED is final.',
  R28: 'Its clock may be wrong: it does not go by the dates of the certificate of the server, and reckons with the Date of its answers.',
  R29: 'What may run is decided by the device, which allows nothing by itself.',
  R30: 'Files outside of the folders that the device allows are FORBIDDEN.',
} as const;
export type Rule = keyof typeof RULES;

export function isRule(text: string): text is Rule {
  return Object.hasOwn(RULES, text);
}

/** Why nothing is seen of a rule from outside. */
export const BEYOND_SIGHT: Partial<Record<Rule, string>> = {
  R20: 'a trial is judged by requests to the device itself, which the suite does not send',
  R21: 'a trial is judged by requests to the device itself, which the suite does not send',
  R26: 'it binds whoever sends inferences',
};
