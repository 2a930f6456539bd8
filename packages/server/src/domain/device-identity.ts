/** A client certificate as it was issued to a device. */
export interface IssuedCertificate {
  pem: string;
  /** Hexadecimal. */
  serial: string;
  /** sha256 of the DER, 64 hexadecimal digits. */
  fingerprint256: string;
  /** ISO 8601 in UTC. */
  notAfter: string;
  /** sha256 of the authority that issued it. */
  issuerSha256: string;
  /** sha256 of the device's public key (SPKI, DER). */
  keySha256: string;
}

/** A certificate request whose sender has proved to hold its key. */
export interface ClientRequest {
  /** sha256 of the public key (SPKI, DER): how a device is known before it has a certificate. */
  keySha256: string;
  sign(device: string): Promise<IssuedCertificate>;
}

/** What a TLS client proved to hold the key of. Nothing here is trusted before the store was asked. */
export interface PresentedCertificate {
  /** Common name of the subject. */
  commonName: string;
  /** sha256 of the DER, 64 hexadecimal digits. */
  fingerprint256: string;
  /** Signed by our authority and meant for clients, whatever the time. */
  trusted: boolean;
  expired: boolean;
}

/** A device that has proved who it is. */
export interface DeviceIdentity {
  name: string;
  /** Of its Device resource. */
  uid: string;
}

/** What there is to know of a certificate authority. */
export interface AuthorityFacts {
  /** sha256 of the DER. */
  sha256: string;
  name: string;
  /** ISO 8601 in UTC. */
  notAfter: string;
}
