import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { certificateFacts, isVerifyError, verifyFailure } from "./certificate.ts";

const pem = `-----BEGIN CERTIFICATE-----
MIICBjCCAa2gAwIBAgIUA/+nVvvQ45evtxvYEKQoT/GfEvowCgYIKoZIzj0EAwIw
WDETMBEGCgmSJomT8ixkARkWA29yZzERMA8GA1UECgwITcO8bGxlciAxGDAWBgNV
BAMMD3d3dy5leGFtcGxlLmNvbTEUMBIGCSqGSIb3DQEJARYFYUBiLmMwIBcNMjYx
MTI0MTY0NjA4WhgPMjEyNjEwMzExNjQ2MDhaMFgxEzARBgoJkiaJk/IsZAEZFgNv
cmcxETAPBgNVBAoMCE3DvGxsZXIgMRgwFgYDVQQDDA93d3cuZXhhbXBsZS5jb20x
FDASBgkqhkiG9w0BCQEWBWFAYi5jMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
AsmWagP0WpOmonbSv6owH/rUvKnw1HlCv/fD+F+DDINNpxKSA8kSDNI74NHAzByN
uvd3El1CMZhcw19HJyVL/qNTMFEwHQYDVR0OBBYEFB5M7d0UoxAA3zf+4pAfGtgy
2CXvMB8GA1UdIwQYMBaAFB5M7d0UoxAA3zf+4pAfGtgy2CXvMA8GA1UdEwEB/wQF
MAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgLaZwxQCWt18zXVnm1CcQw/ieM0nlRWVs
YrPANYoAFawCIDJtO9glmMns36guQjydgjU4L8C9LrBy2AqTSUbqP3wM
-----END CERTIFICATE-----
`;

test("what a certificate says, in OpenSSL's forms", () => {
  const facts = certificateFacts(new X509Certificate(pem).raw);
  expect(facts).toEqual({
    pem,
    subject: "emailAddress=a@b.c,CN=www.example.com,O=M\\C3\\BCller\\ ,DC=org",
    issuer: "emailAddress=a@b.c,CN=www.example.com,O=M\\C3\\BCller\\ ,DC=org",
    subjectOneLine: "/DC=org/O=M\\xC3\\xBCller /CN=www.example.com/emailAddress=a@b.c",
    issuerOneLine: "/DC=org/O=M\\xC3\\xBCller /CN=www.example.com/emailAddress=a@b.c",
    serial: "03FFA756FBD0E397AFB71BD810A4284FF19F12FA",
    fingerprint: "1e2920d15dcb7630e387f3dcd6600bbb3597d6af",
    validFrom: "Nov 24 16:46:08 2026 GMT",
    validTo: "Oct 31 16:46:08 2126 GMT",
  });
});

test("what verification finds, by the library's names", () => {
  expect(verifyFailure("CERT_HAS_EXPIRED")).toEqual({
    name: "CERT_HAS_EXPIRED",
    code: 10,
    text: "certificate has expired",
  });
  expect(verifyFailure("SOMETHING_ELSE")).toEqual({ name: "SOMETHING_ELSE", code: 1, text: "something else" });
  expect([isVerifyError("CERT_REVOKED"), isVerifyError("EPROTO"), isVerifyError(undefined)]).toEqual([
    true,
    false,
    false,
  ]);
});
