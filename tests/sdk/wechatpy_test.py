"""wechatpy, as it is on PyPI, takes its tokens and tickets from this service, and makes its other calls through it.

It names api.weixin.qq.com and qyapi.weixin.qq.com itself, so what is changed is where these names lead: an adapter in its HTTP
session. Not a line of wechatpy is touched, and `auto_retry` is on, as it is by default.
"""

import hashlib
import io
import time
import unittest

import requests
from center import AGENT, APP, CORP, KEY, MINI, SANDBOX, Healing, Upstream, admin, login_code, split, steer, through_the_gateway
from wechatpy import WeChatClient
from wechatpy.exceptions import WeChatClientException
from wechatpy.oauth import WeChatOAuth

try:
    from wechatpy.work import WeChatClient as WorkClient
except ImportError:  # wechatpy 1
    from wechatpy.enterprise import WeChatClient as WorkClient

PAGE = "https://demo.example.com/page?a=1&b=2"


def redirected(client):
    """The client, and the calls it makes to the center and to WeChat from now on."""
    return client, *split(client._http)


def verdict(config):
    return requests.post(f"{SANDBOX}/sandbox/pre-verify", json=config, timeout=10).json()


class OfficialAccount(Healing):
    def test_gets_the_centers_token_with_its_remaining_life(self):
        client, center, _ = redirected(WeChatClient(APP, KEY))
        before = admin("GET", "demo/access_token")
        self.assertEqual(client.access_token, before["value"])
        self.assertEqual(len(center), 1)
        left = client.expires_at - time.time()
        self.assertLessEqual(abs(left - before["expires_in"]), 5)
        client.access_token
        self.assertEqual(len(center), 1, "it is kept until it ends")

    def test_signs_a_page_that_wechat_accepts(self):
        client, _, wechat = redirected(WeChatClient(APP, KEY))
        ticket = client.jsapi.get_jsapi_ticket()
        self.assertEqual(ticket, admin("GET", "demo/jsapi_ticket")["value"])
        signature = client.jsapi.get_jsapi_signature("Wm3WZYTPz0wzccnW", ticket, 1414587457, PAGE)
        config = {"appId": APP, "timestamp": "1414587457", "nonceStr": "Wm3WZYTPz0wzccnW", "signature": signature}
        answer = verdict({**config, "url": PAGE + "#route", "jsApiList": []})
        self.assertEqual(answer["err_msg"], "preVerifyJSAPI:ok", answer)
        self.assertEqual(wechat, [], "no call of its own")

    def test_signs_cards_with_the_card_ticket(self):
        client, _, _ = redirected(WeChatClient(APP, KEY))
        ticket = client.jsapi.get_jsapi_card_ticket()
        self.assertEqual(ticket, admin("GET", "demo/card_ticket")["value"])
        if not hasattr(client.jsapi, "get_jsapi_card_params"):
            return  # wechatpy 2
        params = client.jsapi.get_jsapi_card_params(ticket, "GROUPON", noncestr="nonce", timestamp="1414587457")
        parts = sorted(["GROUPON", "nonce", ticket, APP, "1414587457"])
        self.assertEqual(params["sign"], hashlib.sha1("".join(parts).encode()).hexdigest())

    def test_calls_wechat_itself_with_the_token(self):
        client, _, wechat = redirected(WeChatClient(APP, KEY))
        self.assertEqual(client.menu.get(), {"menu": {"button": []}})
        self.assertTrue(wechat[0].startswith("cgi-bin/menu/get"), wechat)

    def test_its_own_next_request_after_a_reject_carries_the_new_token(self):
        client, center, wechat = redirected(WeChatClient(APP, KEY))
        dead = client.access_token
        client.menu.get()
        steer("revoke", {"app_id": APP, "kind": "token"})
        new = admin("POST", "demo/access_token/reject", json={"value": dead})
        self.assertNotEqual(new["value"], dead)
        center.clear(), wechat.clear()
        self.assertEqual(client.menu.get(), {"menu": {"button": []}})
        # 40001 for the dead token, one request to the center, the same call with the new token.
        self.assertEqual([call.split("access_token=")[1] for call in wechat], [dead, new["value"]])
        self.assertEqual(len(center), 1)
        self.assertEqual(client.access_token, new["value"])

    def test_a_wrong_key_is_reported_like_a_wrong_secret(self):
        client, _, _ = redirected(WeChatClient(APP, "wxk_wrong"))
        with self.assertRaises(WeChatClientException) as refused:
            client.fetch_access_token()
        self.assertEqual(refused.exception.errcode, 40125)
        self.assertRegex(refused.exception.errmsg, r"^invalid appsecret rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$")


class WorkApp(Healing):
    def test_gets_the_token_and_both_tickets(self):
        client, center, wechat = redirected(WorkClient(CORP, KEY))
        self.assertEqual(client.access_token, admin("GET", "demo-work/access_token")["value"])
        self.assertEqual(client.jsapi.get_jsapi_ticket(), admin("GET", "demo-work/jsapi_ticket")["value"])
        agent = client.jsapi.get_agent_ticket()
        self.assertEqual((agent["errcode"], agent["ticket"]), (0, admin("GET", "demo-work/agent_ticket")["value"]))
        self.assertEqual((len(center), wechat), (3, []))

    def test_signs_a_page_that_wecom_accepts(self):
        client, _, _ = redirected(WorkClient(CORP, KEY))
        signature = client.jsapi.get_jsapi_signature("nonce", client.jsapi.get_jsapi_ticket(), 1414587457, PAGE)
        config = {"appId": CORP, "timestamp": "1414587457", "nonceStr": "nonce", "signature": signature}
        answer = verdict({**config, "url": PAGE, "jsApiList": []})
        self.assertEqual(answer["err_msg"], "preVerifyJSAPI:ok", answer)

    def test_its_own_next_request_after_a_reject_carries_the_new_token(self):
        client, _, wechat = redirected(WorkClient(CORP, KEY))
        dead = client.access_token
        self.assertTrue(client.get("get_api_domain_ip")["ip_list"])
        steer("revoke", {"app_id": f"{CORP}:{AGENT}", "kind": "token"})
        new = admin("POST", "demo-work/access_token/reject", json={"value": dead})["value"]
        wechat.clear()
        self.assertTrue(client.get("get_api_domain_ip")["ip_list"])
        self.assertEqual([call.split("access_token=")[1] for call in wechat], [dead, new])


class WithoutTheGateway(Healing):
    """Without calls of `reject`: the center checks a token that is requested again."""

    def test_its_next_call_after_a_token_died_succeeds(self):
        client, center, wechat = redirected(WeChatClient(APP, KEY))
        client.menu.get()
        steer("revoke", {"app_id": APP, "kind": "token"})
        center.clear(), wechat.clear()
        upstream = Upstream()
        self.assertEqual(client.menu.get(), {"menu": {"button": []}})
        self.assertEqual((len(center), len(wechat)), (1, 2))
        # Its own calls, and the center's check of the token.
        self.assertEqual(upstream.paths(), ["/cgi-bin/menu/get", "/cgi-bin/get_api_domain_ip", "/cgi-bin/stable_token", "/cgi-bin/menu/get"])

    def test_a_token_that_died_long_after_it_was_fetched_costs_one_more_round(self):
        client, center, wechat = redirected(WeChatClient(APP, KEY))
        client.menu.get()
        steer("advance", {"seconds": 1800})
        steer("revoke", {"app_id": APP, "kind": "token"})
        center.clear(), wechat.clear()
        self.assertEqual(client.menu.get(), {"menu": {"button": []}})
        self.assertEqual((len(center), len(wechat)), (2, 3))

    def test_a_token_that_died_just_after_its_check_causes_no_endless_loop(self):
        client, center, wechat = redirected(WeChatClient(APP, KEY))
        client.menu.get()
        redirected(WeChatClient(APP, KEY))[0].menu.get()  # another worker's request: the token is still valid
        steer("revoke", {"app_id": APP, "kind": "token"})
        center.clear(), wechat.clear()
        self.assertEqual(client.menu.get(), {"menu": {"button": []}})
        self.assertLessEqual(len(center), 60)

    def test_its_next_call_to_wecom_succeeds(self):
        client, center, wechat = redirected(WorkClient(CORP, KEY))
        self.assertTrue(client.get("get_api_domain_ip")["ip_list"])
        steer("revoke", {"app_id": f"{CORP}:{AGENT}", "kind": "token"})
        center.clear(), wechat.clear()
        self.assertTrue(client.get("get_api_domain_ip")["ip_list"])
        self.assertEqual((len(center), len(wechat)), (1, 2))


class ThroughTheGateway(Healing):
    def client(self, client):
        self.calls = through_the_gateway(client._http)
        return client

    def test_its_next_call_after_a_token_died_succeeds(self):
        client = self.client(WeChatClient(APP, KEY))
        client.menu.get()
        steer("revoke", {"app_id": APP, "kind": "token"})
        self.calls.clear()
        upstream = Upstream()
        self.assertEqual(client.menu.get(), {"menu": {"button": []}})
        self.assertEqual(len(self.calls), 1, "it does not notice")
        self.assertEqual(upstream.paths(), ["/cgi-bin/menu/get", "/cgi-bin/stable_token", "/cgi-bin/menu/get"])

    def test_its_next_call_to_wecom_succeeds(self):
        client = self.client(WorkClient(CORP, KEY))
        client.message.send_text(AGENT, "user", "before")
        steer("revoke", {"app_id": f"{CORP}:{AGENT}", "kind": "token"})
        self.calls.clear()
        upstream = Upstream()
        self.assertEqual(client.message.send_text(AGENT, "user", "after")["errcode"], 0)
        self.assertEqual(len(self.calls), 1, "it does not notice")
        self.assertEqual(upstream.paths(), ["/cgi-bin/message/send", "/cgi-bin/gettoken", "/cgi-bin/message/send"])

    def test_logs_a_user_of_a_mini_program_in(self):
        client = self.client(WeChatClient(MINI, KEY))
        session = client.wxa.code_to_session(login_code(MINI))
        self.assertTrue(session["openid"] and session["session_key"], session)

    def test_logs_a_user_of_a_page_in_and_reads_the_profile(self):
        oauth = WeChatOAuth(APP, KEY, "https://demo.example.com/", scope="snsapi_userinfo")
        through_the_gateway(oauth._http)
        token = oauth.fetch_access_token(login_code(APP))
        self.assertEqual(oauth.get_user_info()["openid"], token["openid"])

    def test_uploads_a_file_and_downloads_one(self):
        client = self.client(WeChatClient(APP, KEY))
        upstream = Upstream()
        self.assertEqual(client.media.upload("image", ("a.jpg", io.BytesIO(b"x" * 300_000)))["errcode"], 0)
        request = upstream.calls()[-1]
        self.assertGreater(request["body_bytes"], 300_000)
        self.assertTrue(dict(request["headers"])["content-type"].startswith("multipart/form-data; boundary="))
        file = client.media.download("MEDIA_ID").content
        token = admin("GET", "demo/access_token")["value"]
        direct = requests.get(f"{SANDBOX}/cgi-bin/media/get", params={"access_token": token}, timeout=10)
        self.assertEqual((len(file), file), (1024, direct.content))

    def test_a_call_that_the_key_may_not_make_is_an_error_and_no_loop(self):
        client = self.client(WeChatClient(APP, KEY))
        with self.assertRaises(WeChatClientException) as refused:
            client.get("clear_quota")
        self.assertEqual(refused.exception.errcode, 48001)
        self.assertEqual(len(self.calls), 2, "the token and the call")


if __name__ == "__main__":
    unittest.main()
