-- The load of benchmarks/load_generators.py, for wrk: FILE FIRST_NUMBER EXPECTED_STATUSES.
-- FILE has complete requests, separated by NUL; 15 @ in a request are replaced by the next number.

local MARK = string.rep("@", 15)

local requests, marked, expected = {}, {}, {}
local place, number = 0, 0
local threads = {}

unexpected = 0

function setup(thread)
   table.insert(threads, thread)
end

function init(args)
   for raw in io.open(args[1], "rb"):read("*a"):gmatch("[^%z]+") do
      table.insert(requests, raw)
      table.insert(marked, raw:find(MARK, 1, true) ~= nil)
   end
   number = tonumber(args[2])
   for status in args[3]:gmatch("%d+") do
      expected[tonumber(status)] = true
   end
end

function request()
   place = place % #requests + 1
   if not marked[place] then
      return requests[place]
   end
   number = number + 1
   return (requests[place]:gsub(MARK, string.format("%015.0f", number)))
end

function response(status)
   if not expected[status] then
      unexpected = unexpected + 1
   end
end

function done(summary, latency)
   local broken = summary.errors
   local errors = broken.connect + broken.read + broken.write + broken.timeout
   for _, thread in ipairs(threads) do
      errors = errors + thread:get("unexpected")
   end
   io.write(string.format(
      '\n{"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "errors": %d}\n',
      summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, errors
   ))
end
