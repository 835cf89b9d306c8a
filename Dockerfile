# The image: a static binary and nothing else. docker build -t wx-jssdk .
#
#   docker run --rm -p 127.0.0.1:8080-8082:8080-8082 wx-jssdk serve --sandbox    without an account · 无需公众号
#   docker run --stop-timeout 20 -p 8080:8080 -v "$PWD:/etc/wx-jssdk:ro" wx-jssdk    with wx-jssdk.toml of this directory · 使用当前目录的 wx-jssdk.toml
#
# Or everything by environment, see docs/DEPLOYMENT.md and docs/CONFIGURATION.md. 也可以全部用环境变量，见 docs/zh/DEPLOYMENT.md。

FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN make static && mkdir -p /out/store && cp target/*-linux-gnu/release/wx-jssdk /out/

FROM scratch
COPY --from=build /out/wx-jssdk /usr/bin/wx-jssdk
# Without it, glibc asks DNS before it reads /etc/hosts.
COPY packaging/nsswitch.conf /etc/nsswitch.conf
COPY --from=build --chown=65532:65532 /out/store /var/lib/wx-jssdk
# The environment wins over a mounted wx-jssdk.toml, whose listeners would be loopback by default: unreachable from outside.
ENV WX_JSSDK__SERVER__LISTEN=0.0.0.0:8080 \
    WX_JSSDK__SERVER__ADMIN_LISTEN=0.0.0.0:8081 \
    WX_JSSDK__STORE__PATH=/var/lib/wx-jssdk/wx-jssdk.redb
USER 65532:65532
# serve and healthcheck read wx-jssdk.toml here, if there is one.
WORKDIR /etc/wx-jssdk
VOLUME /var/lib/wx-jssdk
# 8081 is the admin listener: publish it to your own servers only, such as -p 127.0.0.1:8081:8081. So is 8082, the sandbox's.
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=4s --start-period=10s CMD ["/usr/bin/wx-jssdk", "healthcheck"]
ENTRYPOINT ["/usr/bin/wx-jssdk"]
CMD ["serve"]
