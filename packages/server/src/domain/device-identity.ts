/** A client certificate as it was issued to a device. */
export interface IssuedCertificate {
  pem: string;
  /** Hexadecimal. */
  serial: string;
  /** sha256 of the DER, 64 hexadecimal digits. */
  fingerprint256: string;
  /** ISO 8601 in UTC. */
  notAfter: string;
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
