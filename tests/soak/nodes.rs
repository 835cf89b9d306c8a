//! The nodes: real processes of the real binary, and their memory use.

use std::fmt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::task::JoinHandle;
use wx_jssdk::actix::KeyHash;

use crate::common::process::resident;
use crate::common::program::serve;
use crate::world::{KEY, SECRET, TENANTS, World};

/// The environment of a node.
pub(crate) struct Shared {
    /// The lines of `[store]`.
    pub(crate) store: String,
    pub(crate) wechat: String,
}

pub(crate) struct Node {
    pub(crate) public: String,
    pub(crate) admin: String,
    child: Child,
    home: TempDir,
    config: String,
}

impl Node {
    pub(crate) fn start(number: usize, shared: Shared) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 1\nshutdown_seconds = 5\n
            [[server.api_keys]]\nname = \"peer\"\nsha256 = \"{}\"\n[log]\nlevel = \"error\"\n[store]\n{}\n
            [upstream]\nweixin = \"{url}\"\nqyapi = \"{url}\"\ntimeout_ms = 2000\nconnect_timeout_ms = 1000\n",
            KeyHash::of(KEY),
            shared.store,
            url = shared.wechat
        );
        for tenant in TENANTS
            .iter()
            .filter(|tenant| tenant.nodes.contains(&number))
        {
            config += &match tenant.handle.split_once(':') {
                Some((corp, agent)) => {
                    format!(
                        "[accounts.{}]\nplatform = \"work\"\ncorp_id = \"{corp}\"\nagent_id = {agent}\n",
                        tenant.name
                    )
                }
                None => format!(
                    "[accounts.{}]\napp_id = \"{}\"\n",
                    tenant.name, tenant.app_id
                ),
            };
            config += &format!("secret = \"{SECRET}\"\njs_safe_domains = [\"www.example.com\"]\n");
            if tenant.name == "classic" {
                config += "token_mode = \"classic\"\n";
            }
        }
        let (child, public, admin) = spawn(&home, &config);
        Self {
            public,
            admin,
            child,
            home,
            config,
        }
    }

    /// Stops the node, by `-9` or as a service manager does, and starts a new one on the same files.
    pub(crate) fn restart(&mut self, signal: &str) {
        self.signal(signal);
        self.child.wait().unwrap();
        (self.child, self.public, self.admin) = spawn(&self.home, &self.config);
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .arg(name)
            .arg(self.child.id().to_string())
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "kill {name}");
    }

    /// Writes another configuration, which the node reads at the next SIGHUP; `None` restores the valid one.
    pub(crate) fn configure(&self, config: Option<&str>) {
        std::fs::write(
            self.home.path().join("wx-jssdk.toml"),
            config.unwrap_or(&self.config),
        )
        .unwrap();
    }

    /// Resident memory in KiB.
    fn memory(&self) -> u64 {
        resident(self.child.id()) / 1_024
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn spawn(home: &TempDir, config: &str) -> (Child, String, String) {
    std::fs::write(home.path().join("wx-jssdk.toml"), config).unwrap();
    let (child, mut line) = serve(home.path(), Stdio::null());
    let (public, admin) = (line("public "), line("admin "));
    (child, public, admin)
}

/// The memory of the two nodes that are never restarted: one with Redis, one with a file.
pub(crate) struct Memory {
    /// The time as a fraction of the whole run, and the KiB of node 1 and node 2.
    samples: Vec<(f64, [u64; 2])>,
}

const LASTING: [usize; 2] = [1, 2];

pub(crate) fn watch_memory(world: &World) -> JoinHandle<Memory> {
    let (nodes, ended, length) = (
        LASTING.map(|number| world.nodes[number].clone()),
        world.ended(),
        world.length,
    );
    tokio::spawn(async move {
        let (begun, mut samples) = (Instant::now(), Vec::new());
        while !ended.load(Ordering::Relaxed) {
            let part = begun.elapsed().as_secs_f64() / length.as_secs_f64();
            samples.push((
                part,
                [
                    nodes[0].read().await.memory(),
                    nodes[1].read().await.memory(),
                ],
            ));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Memory { samples }
    })
}

impl Memory {
    /// The maximum from the fifth `from` to the fifth `to` of the run.
    fn peak(&self, node: usize, from: f64, to: f64) -> u64 {
        let within = self
            .samples
            .iter()
            .filter(|(part, _)| (from..to).contains(part));
        within
            .map(|(_, memory)| memory[node])
            .max()
            .unwrap_or_default()
    }

    /// After two fifths of a long run every fault has occurred once: memory that grows later would grow for ever.
    pub(crate) fn assert_flat(&self) {
        for (node, number) in LASTING.iter().enumerate() {
            let (early, late) = (self.peak(node, 0.0, 0.6), self.peak(node, 0.8, f64::MAX));
            assert!(
                late <= early + early / 10 + 2_048,
                "node {number}: {early} KiB at first, {late} KiB at last"
            );
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (node, number) in LASTING.iter().enumerate() {
            let peaks = [0.0, 0.2, 0.4, 0.6, 0.8].map(|from| self.peak(node, from, from + 0.2));
            writeln!(
                f,
                "node {number}: peak resident KiB in each fifth of the run {peaks:?}"
            )?;
        }
        Ok(())
    }
}
