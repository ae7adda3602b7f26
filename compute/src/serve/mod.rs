//! Page and bundle, or the bundles of a site, on this machine's loopback, and prompts that are typed into the page.
//!
//! Who can use it: programs of this machine that know the address, which holds a random token. Other pages in the same
//! browser cannot: they do not know the token, and requests that another page or another host name sends are refused. Nothing
//! is written: prompts stay in memory ([`Overlay`]) until the server ends.
//!
//! | request below `/TOKEN/` | answer |
//! |---|---|
//! | `GET` of a file of the page | the file; `index.html` says `data-live` where prompts are answered |
//! | `GET bundle/PATH` | a file that the manifest lists |
//! | `GET bundles/PATH` | of a site: its list, or a file that a manifest of it lists |
//! | `POST prompts`, the prompt as text | the prompt's number, or in a line why not |

mod app;
mod content;
mod live;
mod overlay;
mod site_files;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use site::Page;

use app::App;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore};

pub use app::Shown;
pub use live::Live;
pub use overlay::Overlay;
pub use site_files::SiteFiles;

/// Connections at once; others wait.
const MAX_CONNECTIONS: usize = 128;
/// A connection that has not sent its request's head by then is closed.
const HEAD: Duration = Duration::from_secs(10);

/// A server that listens, and answers once it is run.
#[derive(Debug)]
pub struct Server {
    runtime: tokio::runtime::Runtime,
    listener: TcpListener,
    app: Arc<App>,
}

impl Server {
    /// Listens on `port` of the loopback; 0 takes any that is free.
    pub fn bind(port: u16, page: Page, shown: Shown) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("could not start the server")?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = runtime
            .block_on(TcpListener::bind(address))
            .with_context(|| format!("could not listen on port {port}: choose another with --port"))?;
        let token: u128 = rand::random();
        let token = format!("{token:032x}");
        let app = Arc::new(App::new(token, page, shown));
        Ok(Self { runtime, listener, app })
    }

    /// The page's address.
    pub fn url(&self) -> Result<String> {
        Ok(format!("http://{}/{}/", self.listener.local_addr()?, self.app.token()))
    }

    /// Answers until the process ends.
    pub fn run(self) -> Result<()> {
        let Self { runtime, listener, app, .. } = self;
        runtime.block_on(async move {
            let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
            loop {
                let permit = Arc::clone(&connections).acquire_owned().await?;
                // A connection that is gone before it is taken is no reason to end.
                let Ok((stream, _)) = listener.accept().await else { continue };
                let app = Arc::clone(&app);
                tokio::spawn(async move {
                    let connection = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(HEAD)
                        .serve_connection(
                            TokioIo::new(stream),
                            service_fn(|request| Arc::clone(&app).answer(request)),
                        );
                    // Who broke off is not there to be told.
                    drop(connection.await);
                    drop(permit);
                });
            }
        })
    }
}
