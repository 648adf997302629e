/** Directives that Nginx has and Alicorn does not, each with the reason: `-t` says just that instead of "unknown". */
const reasons: Readonly<Record<string, readonly string[]>> = {
  "embedded Perl is not part of this program": ["perl", "perl_modules", "perl_require", "perl_set"],
  "XSLT is not part of this program": [
    "xml_entities",
    "xslt_last_modified",
    "xslt_param",
    "xslt_string_param",
    "xslt_stylesheet",
    "xslt_types",
  ],
  "images are not transformed here": [
    "image_filter",
    "image_filter_buffer",
    "image_filter_interlace",
    "image_filter_jpeg_quality",
    "image_filter_sharpen",
    "image_filter_transparency",
    "image_filter_webp_quality",
  ],
  "dynamic modules of Nginx cannot be loaded": ["load_module"],
  "mail is not proxied": ["mail"],
};

export const unsupported: ReadonlyMap<string, string> = new Map(
  Object.entries(reasons).flatMap(([why, names]) => names.map((name) => [name, why] as const)),
);
