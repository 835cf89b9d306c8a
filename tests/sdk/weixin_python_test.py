"""weixin-python, as it is on PyPI, with the center as its only address.

`WeixinMP.api_uri` is its own setting. Its login names the host itself: an adapter in its HTTP session leads there.
It keeps its token in a file until ten minutes before the end, whatever WeChat says, and repeats nothing. So without the gateway
a token that died stays in that file.
"""

import os
import tempfile
import unittest

from center import APP, CENTER, KEY, MINI, Healing, Upstream, login_code, split, steer, through_the_gateway
from weixin.login import WeixinLogin
from weixin.mp import WeixinMP, WeixinMPError


class OfficialAccount(Healing):
    def client(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.token_file = os.path.join(folder.name, "token")
        client = WeixinMP(APP, KEY, ac_path=self.token_file, jt_path=os.path.join(folder.name, "ticket"))
        client.session.trust_env = False
        return client

    def through_the_gateway(self):
        client = self.client()
        client.api_uri = CENTER
        return client

    def test_its_next_call_after_a_token_died_succeeds(self):
        client = self.through_the_gateway()
        client.menu_get()
        steer("revoke", {"app_id": APP, "kind": "token"})
        upstream = Upstream()
        self.assertEqual(client.menu_get().menu, {"button": []})
        self.assertEqual(upstream.paths(), ["/cgi-bin/menu/get", "/cgi-bin/stable_token", "/cgi-bin/menu/get"])

    def test_signs_and_sends_through_the_gateway(self):
        client = self.through_the_gateway()
        self.assertTrue(client.jsapi_ticket)
        self.assertEqual(client.template_send("template", "openid", {}).errcode, 0)

    def test_a_call_that_the_key_may_not_make_is_an_error(self):
        with self.assertRaisesRegex(WeixinMPError, "^48001 api unauthorized"):
            self.through_the_gateway().post("/clear_quota", {"appid": APP})

    def test_without_the_gateway_its_token_file_must_be_removed_first(self):
        client = self.client()
        split(client.session)
        client.menu_get()
        steer("revoke", {"app_id": APP, "kind": "token"})
        for _ in range(2):
            with self.assertRaisesRegex(WeixinMPError, "^40001 "):
                client.menu_get()
        os.remove(self.token_file)
        self.assertEqual(client.menu_get().menu, {"button": []})


class Login(unittest.TestCase):
    def login(self, app_id):
        login = WeixinLogin(app_id, KEY)
        through_the_gateway(login.sess)
        return login

    def test_a_page_logs_its_user_in(self):
        login = self.login(APP)
        token = login.access_token(login_code(APP))
        self.assertEqual(login.auth(token.access_token, token.openid).errmsg, "ok")
        self.assertTrue(login.refresh_token(token.refresh_token).access_token)

    def test_a_mini_program_logs_its_user_in(self):
        self.assertTrue(self.login(MINI).jscode2session(login_code(MINI)).session_key)
