//! Baseline for the signing route: an actix-web route that returns a constant. `bare ADDRESS WORKERS FILE`.

use actix_web::{App, HttpResponse, HttpServer, web};

fn main() -> std::io::Result<()> {
    let arguments: Vec<_> = std::env::args().collect();
    let [_, address, workers, file] = arguments.as_slice() else { panic!("usage: bare ADDRESS WORKERS FILE") };
    let body: &'static str = std::fs::read_to_string(file)?.leak();
    let workers = workers.parse().expect("a number of workers");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        HttpServer::new(move || App::new().route("/jssdk/config", web::get().to(move || constant(body))))
            .workers(workers)
            .bind(address)?
            .run()
            .await
    })
}

async fn constant(body: &'static str) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(body)
}
