/** What numbers of the TLS registries are called (IANA "TLS Cipher Suites", "TLS Supported Groups"), in OpenSSL's words. */

const ciphers: Readonly<Record<number, string>> = {
  4: "RC4-MD5",
  5: "RC4-SHA",
  10: "DES-CBC3-SHA",
  22: "DHE-RSA-DES-CBC3-SHA",
  47: "AES128-SHA",
  51: "DHE-RSA-AES128-SHA",
  53: "AES256-SHA",
  57: "DHE-RSA-AES256-SHA",
  60: "AES128-SHA256",
  61: "AES256-SHA256",
  103: "DHE-RSA-AES128-SHA256",
  107: "DHE-RSA-AES256-SHA256",
  156: "AES128-GCM-SHA256",
  157: "AES256-GCM-SHA384",
  158: "DHE-RSA-AES128-GCM-SHA256",
  159: "DHE-RSA-AES256-GCM-SHA384",
  255: "TLS_EMPTY_RENEGOTIATION_INFO_SCSV",
  4865: "TLS_AES_128_GCM_SHA256",
  4866: "TLS_AES_256_GCM_SHA384",
  4867: "TLS_CHACHA20_POLY1305_SHA256",
  4868: "TLS_AES_128_CCM_SHA256",
  4869: "TLS_AES_128_CCM_8_SHA256",
  49160: "ECDHE-ECDSA-DES-CBC3-SHA",
  49161: "ECDHE-ECDSA-AES128-SHA",
  49162: "ECDHE-ECDSA-AES256-SHA",
  49170: "ECDHE-RSA-DES-CBC3-SHA",
  49171: "ECDHE-RSA-AES128-SHA",
  49172: "ECDHE-RSA-AES256-SHA",
  49187: "ECDHE-ECDSA-AES128-SHA256",
  49188: "ECDHE-ECDSA-AES256-SHA384",
  49191: "ECDHE-RSA-AES128-SHA256",
  49192: "ECDHE-RSA-AES256-SHA384",
  49195: "ECDHE-ECDSA-AES128-GCM-SHA256",
  49196: "ECDHE-ECDSA-AES256-GCM-SHA384",
  49199: "ECDHE-RSA-AES128-GCM-SHA256",
  49200: "ECDHE-RSA-AES256-GCM-SHA384",
  52392: "ECDHE-RSA-CHACHA20-POLY1305",
  52393: "ECDHE-ECDSA-CHACHA20-POLY1305",
  52394: "DHE-RSA-CHACHA20-POLY1305",
};

const groups: Readonly<Record<number, string>> = {
  19: "prime192v1",
  21: "secp224r1",
  22: "secp256k1",
  23: "prime256v1",
  24: "secp384r1",
  25: "secp521r1",
  26: "brainpoolP256r1",
  27: "brainpoolP384r1",
  28: "brainpoolP512r1",
  29: "X25519",
  30: "X448",
  256: "ffdhe2048",
  257: "ffdhe3072",
  258: "ffdhe4096",
  259: "ffdhe6144",
  260: "ffdhe8192",
  4587: "SecP256r1MLKEM768",
  4588: "X25519MLKEM768",
  4589: "SecP384r1MLKEM1024",
};

/** The groups by other names, as `ssl_ecdh_curve` may have them. */
const groupAliases: Readonly<Record<string, string>> = {
  "p-256": "prime256v1",
  secp256r1: "prime256v1",
  "p-384": "secp384r1",
  "p-521": "secp521r1",
};

const numberText = (code: number): string => `0x${code.toString(16).padStart(4, "0")}`;

export const cipherName = (code: number): string => ciphers[code] ?? numberText(code);
export const groupName = (code: number): string => groups[code] ?? numberText(code);
export const signatureName = (code: number): string => numberText(code);

const groupCodes = new Map(Object.entries(groups).map(([code, name]) => [name.toLowerCase(), Number(code)]));

/** The number of a group by one of its names; undefined: it is not known. */
export function groupCode(name: string): number | undefined {
  const lower = name.toLowerCase();
  return groupCodes.get(groupAliases[lower] ?? lower);
}

/** Placeholders of clients that keep servers tolerant (RFC 8701 2). */
export const isGrease = (code: number): boolean => (code & 0x0f0f) === 0x0a0a && code >> 8 === (code & 0xff);
