-- An open loop at a rate that would cost a generator in Python too much of the machine: requests
-- leave on a schedule, whatever the server does meanwhile. Each connection that becomes free takes
-- the next slot of one common schedule; there must be more of them than requests under way.
--
-- Arguments: folder, number of bodies, path, where the result goes, requests a second, seconds,
-- then header names and values. Every request has an id, which the server must send back in
-- x-request-id: so each answer is known to belong to its request.

local ffi = require("ffi")

ffi.cdef [[
typedef struct { long seconds; long nanoseconds; } bench_time;
int clock_gettime(int clock, bench_time *time);
typedef struct { double due, sent, answered; int id, status, retry_after, answer; } bench_record;
]]

local MONOTONIC = 1
local NEVER_MS = 1e6

local clock = ffi.new("bench_time")
local record = ffi.new("bench_record")
local heads, tails, dues, sents, numbers = {}, {}, {}, {}, {}
local slots, answers = 0, 0
local next_due, last_due, records
local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

local function now_ms()
   ffi.C.clock_gettime(MONOTONIC, clock)
   return tonumber(clock.seconds) * 1e3 + tonumber(clock.nanoseconds) / 1e6
end

function init(args)
   sent = 0
   out = args[4]
   rate, seconds = tonumber(args[5]), tonumber(args[6])
   local lines = {"POST " .. args[3] .. " HTTP/1.1", "host: 127.0.0.1"}
   for index = 7, #args, 2 do
      table.insert(lines, args[index] .. ": " .. args[index + 1])
   end
   local head = table.concat(lines, "\r\n") .. "\r\nx-request-id: "
   for index = 1, tonumber(args[2]) do
      local file = io.open(args[1] .. "/" .. index, "rb")
      local body = file:read("*a")
      file:close()
      heads[index] = head
      tails[index] = "\r\ncontent-length: " .. #body .. "\r\n\r\n" .. body
   end
   -- Closed when wrk ends.
   records = io.open(out .. ".records", "wb")
   records:setvbuf("full", 4194304)
   math.randomseed(2026)
end

function delay()
   local now = now_ms()
   if not next_due then
      -- wrk has asked for one request already, to look at it.
      sent = 0
      -- A moment in which all connections are made.
      next_due = now + 500
      last_due = next_due + seconds * 1e3
   end
   if next_due >= last_due then
      return NEVER_MS
   end
   slots = slots + 1
   dues[slots] = next_due
   local wait = next_due - now
   next_due = next_due - math.log(1 - math.random()) * 1e3 / rate
   return wait > 0 and math.floor(wait) or 0
end

function request()
   sent = sent + 1
   sents[sent] = now_ms()
   local turn = (sent - 1) % #heads + 1
   return heads[turn] .. sent .. tails[turn]
end

function response(status, headers, body)
   record.answered = now_ms()
   local id = tonumber(headers["x-request-id"]) or 0
   record.id = id
   record.sent = sents[id] or 0
   record.due = dues[id] or record.sent
   record.status = status
   record.retry_after = headers["retry-after"] and 1 or 0
   record.answer = status == 200 and number_of(body) or 0
   records:write(ffi.string(record, ffi.sizeof(record)))
end

function number_of(body)
   local number = numbers[body]
   if not number then
      answers = answers + 1
      number = answers
      numbers[body] = number
      local file = io.open(out .. "." .. number, "wb")
      file:write(body)
      file:close()
   end
   return number
end

function done()
   local file = io.open(threads[1]:get("out"), "wb")
   file:write(threads[1]:get("sent"))
   file:close()
end
