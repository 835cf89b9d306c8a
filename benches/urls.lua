-- Requests of `make bench`: 1,000 page URLs in turn, encoded as encodeURIComponent does. With ACCOUNTS, each of 10,000 requests names
-- one of so many accounts.
local requests, at = {}, 0
local accounts = tonumber(os.getenv("ACCOUNTS"))
local count = accounts and 10000 or 1000

function init()
  for n = 0, count - 1 do
    local page = string.format(
      "https://www.demo.example.com/goods/detail?id=%d&from=singlemessage&isappinstalled=0#/route", 20260000 + n % 1000)
    local encoded = page:gsub("[^%w%-_%.!~%*'%(%)]", function(c) return string.format("%%%02X", c:byte()) end)
    local account = accounts and string.format("account=a%04d&", n * 7919 % accounts) or ""
    requests[n] = wrk.format("GET", "/jssdk/config?" .. account .. "url=" .. encoded)
  end
end

function request()
  at = (at + 1) % count
  return requests[at]
end
