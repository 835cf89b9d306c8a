-- Requests of `make bench`: 1,000 page URLs in turn, encoded as encodeURIComponent does.
local requests, at = {}, 0

function init()
  for n = 0, 999 do
    local page = string.format(
      "https://www.demo.example.com/goods/detail?id=%d&from=singlemessage&isappinstalled=0#/route", 20260000 + n)
    local encoded = page:gsub("[^%w%-_%.!~%*'%(%)]", function(c) return string.format("%%%02X", c:byte()) end)
    requests[n] = wrk.format("GET", "/jssdk/config?url=" .. encoded)
  end
end

function request()
  at = (at + 1) % 1000
  return requests[at]
end
