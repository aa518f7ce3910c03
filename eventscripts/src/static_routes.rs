//! `11.routing`: static routes that the kernel drops with the addresses of an interface. Built in, no fork.
//!
//! As CTDB: after every run (`ipreallocated`) all routes of `CTDB_BASE/static-routes` are added, on `updateip` those of the two
//! interfaces. One line is `IFACE DEST/MASK GATEWAY`. Without the file nothing is done. A route that cannot be added yet (its interface
//! has no address of the gateway's network on this node) is no failure; a line that cannot be read is named and left out.

use crate::handler::{BoxFuture, Handled, Handler};
use crate::netif::NetIfError;
use crate::routing::{MAIN_TABLE, Net, Route, Routing};
use nix::errno::Errno;
use recoverd::model::Event;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The built-in `11.routing`.
pub struct StaticRoutes {
    file: PathBuf,
    routing: Arc<dyn Routing>,
}

impl StaticRoutes {
    /// With the file `static-routes` below `CTDB_BASE`, which is read at each event.
    #[must_use]
    pub fn new(base: &Path, routing: Arc<dyn Routing>) -> Self {
        Self { file: base.join("static-routes"), routing }
    }

    /// Adds the routes of the interfaces that `wanted` names.
    async fn add(&self, wanted: impl Fn(&str) -> bool) -> Handled {
        let text = match std::fs::read_to_string(&self.file) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Handled::OK,
            Err(e) => return Handled::failed(format!("ERROR: reading {}: {e}", self.file.display())),
            Ok(text) => text,
        };
        let mut output = Vec::new();
        for (n, line) in text.lines().enumerate() {
            let route = match route(line) {
                None => continue,
                Some(Err(fault)) => {
                    output.push(format!("{}:{}: {fault}", self.file.display(), n + 1));
                    continue;
                }
                Some(Ok(route)) => route,
            };
            if !route.iface.as_deref().is_some_and(&wanted) {
                continue;
            }
            match self.routing.add_route(&route).await {
                Ok(_) => {}
                Err(
                    e @ (NetIfError::NoInterface { .. }
                    | NetIfError::Refused { errno: Errno::ENETUNREACH | Errno::ENETDOWN, .. }),
                ) => tracing::debug!("11.routing: {e}"),
                Err(e) => output.push(format!("{}:{}: {e}", self.file.display(), n + 1)),
            }
        }
        Handled { failed: false, output: output.join("\n") }
    }
}

/// The route of a line; `None` for one without content.
fn route(line: &str) -> Option<Result<Route, String>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let wrong = |what: &str| {
        Some(Err(format!("{what}; write IFACE DEST/MASK GATEWAY, as: bond1 10.3.3.0/24 10.0.0.1")))
    };
    let words: Vec<&str> = line.split_whitespace().collect();
    let [iface, dest, gateway] = words[..] else { return wrong("not three words") };
    let Some(dest) = Net::parse(dest) else { return wrong(&format!("{dest} is no network")) };
    let Ok(gateway) = gateway.parse() else { return wrong(&format!("{gateway} is no address")) };
    Some(Ok(Route {
        dest: dest.network(),
        gateway: Some(gateway),
        iface: Some(iface.to_owned()),
        metric: None,
        table: MAIN_TABLE,
    }))
}

impl Handler for StaticRoutes {
    fn name(&self) -> &str {
        "11.routing"
    }

    fn handle<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Handled> {
        Box::pin(async move {
            match event {
                Event::Ipreallocated => self.add(|_| true).await,
                Event::UpdateIp { old, new, .. } => self.add(|iface| iface == old || iface == new).await,
                _ => Handled::OK,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::fake::FakeRouting;

    const FILE: &str =
        "# comment\nbond1 10.3.3.0/24 10.0.0.1\n\nbond2 10.4.4.1/24 10.0.1.1\nbond3 10.5.5.5 10.0.2.1\n";

    fn with_file(text: &str) -> (tempfile::TempDir, Arc<FakeRouting>, StaticRoutes) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("static-routes"), text).unwrap();
        let kernel = Arc::new(FakeRouting::default());
        let routes = StaticRoutes::new(dir.path(), Arc::<FakeRouting>::clone(&kernel));
        (dir, kernel, routes)
    }

    #[tokio::test]
    async fn after_a_run_all_routes_are_there() {
        let (_dir, kernel, routes) = with_file(FILE);
        kernel.unreachable.lock().unwrap().insert("10.0.1.1".parse().unwrap());
        assert_eq!(routes.handle(&Event::Ipreallocated).await, Handled::OK);
        assert_eq!(
            kernel.routes(),
            ["10.3.3.0/24 via 10.0.0.1 dev bond1", "10.5.5.5/32 via 10.0.2.1 dev bond3"]
        );
        kernel.unreachable.lock().unwrap().clear();
        assert_eq!(routes.handle(&Event::Ipreallocated).await, Handled::OK);
        assert_eq!(kernel.routes().len(), 3);
    }

    #[tokio::test]
    async fn an_update_is_about_its_interfaces() {
        let (_dir, kernel, routes) = with_file(FILE);
        let (addr, prefix) = ("10.0.0.31".parse().unwrap(), 24);
        let update = Event::UpdateIp { old: "bond3".to_owned(), new: "bond1".to_owned(), addr, prefix };
        assert_eq!(routes.handle(&update).await, Handled::OK);
        assert_eq!(
            kernel.routes(),
            ["10.3.3.0/24 via 10.0.0.1 dev bond1", "10.5.5.5/32 via 10.0.2.1 dev bond3"]
        );
        for event in
            [Event::Startup, Event::Monitor, Event::TakeIp { iface: "bond2".to_owned(), addr, prefix }]
        {
            assert_eq!(routes.handle(&event).await, Handled::OK);
        }
        assert_eq!(kernel.routes().len(), 2);
    }

    #[tokio::test]
    async fn bad_lines_are_named_and_left_out() {
        let (dir, kernel, routes) = with_file(
            "bond1 10.3.3.0/33 10.0.0.1\nbond1 10.3.3.0/24\nbond1 10.3.3.0/24 x\nbond1 10.6.6.0/24 10.0.0.1\n",
        );
        let done = routes.handle(&Event::Ipreallocated).await;
        let file = dir.path().join("static-routes").display().to_string();
        let lines: Vec<&str> = done.output.lines().collect();
        assert!(!done.failed && lines.len() == 3, "{done:?}");
        for (line, want) in
            lines.iter().zip(["10.3.3.0/33 is no network", "not three words", "x is no address"])
        {
            assert!(line.contains(want) && line.starts_with(&file), "{line}");
        }
        assert_eq!(kernel.routes(), ["10.6.6.0/24 via 10.0.0.1 dev bond1"]);
    }

    #[tokio::test]
    async fn without_the_file_nothing_is_done() {
        let (dir, kernel, routes) = with_file("");
        std::fs::remove_file(dir.path().join("static-routes")).unwrap();
        assert_eq!(routes.handle(&Event::Ipreallocated).await, Handled::OK);
        assert_eq!(kernel.routes(), [] as [String; 0]);
    }
}
