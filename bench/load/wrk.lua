-- Run by wrk: an optional request body, and the result as one line of JSON (microseconds).
local bodyBytes = tonumber(os.getenv("BENCH_BODY_BYTES") or "0")
if bodyBytes > 0 then
  wrk.method = "POST"
  wrk.body = string.rep("x", bodyBytes)
  wrk.headers["Content-Type"] = "application/octet-stream"
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'BENCH {"requests":%d,"durationUs":%d,"p50Us":%.1f,"p99Us":%.1f,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
