/** Directives that Nginx has and Alicorn does not, each with the reason: `-t` says just that instead of "unknown". */

const reasons: Readonly<Record<string, string>> = {
  "it does not speak HTTP/3":
    "http3 http3_hq http3_max_concurrent_streams http3_stream_buffer_size quic_active_connection_id_limit quic_bpf quic_gso quic_host_key quic_retry",
  "TCP and UDP are not proxied": "stream",
  "mail is not proxied": "mail",
  "WebDAV is not part of it": "create_full_put_path dav_access dav_methods min_delete_depth",
  "videos are served as the files that they are": "flv mp4 mp4_buffer_size mp4_max_buffer_size mp4_start_key_frame",
  "it does not read GeoIP's databases": "geoip_city geoip_country geoip_org geoip_proxy geoip_proxy_recursive",
  "embedded Perl is not part of it": "perl perl_modules perl_require perl_set",
  "XSLT is not part of it":
    "xml_entities xml_external_entities xslt_last_modified xslt_param xslt_string_param xslt_stylesheet xslt_types",
  "images are not transformed":
    "image_filter image_filter_buffer image_filter_interlace image_filter_jpeg_quality image_filter_sharpen image_filter_transparency image_filter_webp_quality",
  "it does not measure memory for it": "degradation degrade",
  "Nginx's modules cannot be loaded": "load_module",
};

export const unsupported: ReadonlyMap<string, string> = new Map(
  Object.entries(reasons).flatMap(([why, names]) => names.split(" ").map((name) => [name, why] as const)),
);
