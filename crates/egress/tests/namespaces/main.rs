//! The egress in real network namespaces: what gets out, how, and what does not.

mod direct;
mod lab;
mod limits;
mod proxies;
mod proxy_servers;
mod resolver;
mod throughput;
