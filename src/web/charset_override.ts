/** A note of an exchange: the character set that an upstream asks for (X-Accel-Charset), whatever is configured. */
export const charsetOverride = Symbol("charset override");
