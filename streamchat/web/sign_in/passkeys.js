// Passkeys in the browser: JSON of the server to what the browser wants, and back. Knows no address.

export function isSupported() {
  return "PublicKeyCredential" in window;
}

export async function create(options) {
  const publicKey = {
    ...options,
    challenge: bytes(options.challenge),
    user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: (options.excludeCredentials ?? []).map((known) => ({ ...known, id: bytes(known.id) })),
  };
  const { id, rawId, type, response } = await navigator.credentials.create({ publicKey });
  const { clientDataJSON, attestationObject } = response;
  const transports = response.getTransports?.() ?? [];
  return {
    id, rawId: text(rawId), type,
    response: { clientDataJSON: text(clientDataJSON), attestationObject: text(attestationObject), transports },
  };
}

export async function get(options) {
  const { id, rawId, type, response } = await navigator.credentials.get({
    publicKey: { ...options, challenge: bytes(options.challenge) },
  });
  const { clientDataJSON, authenticatorData, signature, userHandle } = response;
  return {
    id, rawId: text(rawId), type,
    response: {
      clientDataJSON: text(clientDataJSON),
      authenticatorData: text(authenticatorData),
      signature: text(signature),
      userHandle: userHandle ? text(userHandle) : null,
    },
  };
}

function bytes(base64url) {
  const plain = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

function text(buffer) {
  const plain = btoa(String.fromCharCode(...new Uint8Array(buffer)));
  return plain.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
