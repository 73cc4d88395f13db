-- wrk: POST the lines of a file, one after the other, and print what came of it as JSON.
-- A line is a body, or a path, a tab and a body.
-- arguments: FILE CONTENT_TYPE CONNECTION [COUNT]; the run ends after COUNT answers, if given.

local bodies, paths, sent, answered, wanted = {}, {}, 0, 0, nil

function init(args)
  for line in io.lines(args[1]) do
    local path, body = line:match("^([^\t]*)\t(.*)$")
    bodies[#bodies + 1] = body or line
    paths[#bodies] = path
  end
  wrk.method = "POST"
  wrk.headers["Content-Type"] = args[2]
  wrk.headers["Connection"] = args[3]
  wanted = tonumber(args[4])
  if not wanted then
    response = nil -- which spares wrk the parsing of headers
  end
end

function request()
  sent = sent + 1
  local number = (sent - 1) % #bodies + 1
  return wrk.format(nil, paths[number], nil, bodies[number])
end

function response(status)
  answered = answered + 1
  if answered == wanted then
    wrk.thread:stop()
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "refused": %d, "broken": %d, "p50": %.4f, "p99": %.4f}\n',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
