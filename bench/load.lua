-- Sends the bodies of a folder in turn. Arguments: folder, number of bodies, path, where the
-- result goes, "check" or "time", then header names and values.
--
-- While it checks, it counts every distinct answer with status 200 and writes each to a file of its
-- own, by number; Python judges them. While it times, it has no response hook: calling one costs wrk more than the fastest servers cost.

local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function init(args)
   out = args[4]
   seen = 0
   numbers = {}
   counts = {}
   requests = {}
   local headers = {}
   for index = 6, #args, 2 do
      headers[args[index]] = args[index + 1]
   end
   for index = 1, tonumber(args[2]) do
      local file = io.open(args[1] .. "/" .. index, "rb")
      requests[index] = wrk.format("POST", args[3], headers, file:read("*a"))
      file:close()
   end
   if args[5] == "check" then
      response = count
   end
end

local turn = 0

function request()
   turn = turn % #requests + 1
   return requests[turn]
end

function count(status, _, body)
   if status == 200 then
      -- Some servers give every answer an id of its own.
      local text = body:gsub('"id":"[%x-]+"', '"id":""', 1)
      local number = numbers[text]
      if not number then
         seen = seen + 1
         number = seen
         numbers[text] = number
         counts[number] = 0
         -- At once, for a string that leaves the thread through wrk ends at its first NUL.
         local file = io.open(out .. "." .. number, "wb")
         file:write(text)
         file:close()
      end
      counts[number] = counts[number] + 1
   end
end

function done(summary, latency, _)
   local errors = summary.errors
   local file = io.open(threads[1]:get("out"), "wb")
   file:write(string.format("%d %d %d %d %d %d %d\n", summary.duration, summary.requests,
      errors.connect, errors.read, errors.write, errors.status, errors.timeout))
   file:write(string.format("%d %d\n", latency:percentile(50), latency:percentile(99)))
   for number, times in pairs(threads[1]:get("counts")) do
      file:write(string.format("%d %d\n", number, times))
   end
   file:close()
end
