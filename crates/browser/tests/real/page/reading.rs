//! What is read of a page: elements, text, pictures, sizes.

use crate::view::support::Scene;
use serde_json::json;
use vitrine_browser::Build;

const SHOP: &str = "<ul id=list><li class=item><a class=name href='https://a.test/1'>One</a><b>1</b></li>\
    <li class=item><a class=name href='https://a.test/2'>Two</a><b>2</b></li>\
    <li class=item><a class=name href='https://a.test/3'>Three</a><b>3</b></li></ul>";

#[tokio::test]
async fn elements_are_described_and_found_again() {
    let scene = Scene::open(Build::HeadlessShell, SHOP).await;
    let mut caller = scene.caller().await;
    let at =
        scene.value("(({x, y}) => [x + 4, y + 4])(document.querySelectorAll('a')[1].getBoundingClientRect())").await;
    let facts = caller.call("page.inspectAt", json!([{"x": at[0], "y": at[1]}])).await;
    assert_eq!((&facts["text"], &facts["href"]), (&json!("Two"), &json!("https://a.test/2")));
    assert!(facts["htmlSnippet"].as_str().expect("markup").starts_with("<a class=\"name\""));
    assert!((facts["rect"]["x"].as_f64().expect("x") - (at[0].as_f64().expect("x") - 4.0)).abs() < 0.5);
    for selector in facts["selectors"].as_array().expect("selectors") {
        let found =
            format!("document.querySelectorAll({selector}).length + document.querySelector({selector}).textContent");
        assert_eq!(scene.value(&found).await, json!("1Two"), "{selector}");
    }
    let like = caller.call("generalizeSelection", json!([{"selector": facts["selector"]}])).await;
    assert_eq!(like["count"], 3, "{like}");
    assert_eq!(like["items"][2]["text"], "Three");
    let two =
        caller.call("extractSelection", json!([{"selector": ".name"}, {"maxItems": 2, "fields": ["text"]}])).await;
    assert_eq!(two, json!({"selector": ".name", "items": [{"text": "One"}, {"text": "Two"}], "count": 3}));
    scene.value("document.body.style.height = '3000px'; scrollTo(0, 50)").await;
    let found = caller.call("resolvePageTarget", json!([{"selector": ".name"}, {"maxMatches": 1}])).await;
    let wanted = scene.value("(({x, y, width, height}) => ({x, y: y + 50, width, height}))(document.querySelector('.name').getBoundingClientRect())").await;
    assert_eq!((&found["matches"], &found["matchCount"]), (&json!([wanted]), &json!(3)));
    assert_eq!(found["sample"][1], json!({"text": "Two", "href": "https://a.test/2"}));
    assert_eq!(
        caller.refused("resolvePageTarget", json!([{}])).await["message"],
        "resolvePageTarget requires target.selector"
    );
    assert_eq!(
        caller.refused("extractSelection", json!([])).await["message"],
        "extractSelection requires selection.selector"
    );
    assert_eq!(caller.refused("generalizeSelection", json!(["#none"])).await["code"], "ERR_NOT_FOUND");
    scene.browser.close(crate::GRACE).await;
}

#[tokio::test]
async fn the_matter_of_a_page_is_told_from_what_is_beside_it() {
    let matter =
        "The quick brown fox, which is well known, jumps over the lazy dog, and does so again and again. ".repeat(4);
    let page = format!(
        "<nav><a href=x>Home</a> <a href=y>News of the day that is in the menu</a></nav><div class=sidebar><p>Buy this thing now, it is on sale for a day.</p></div>\
         <div id=content><h1>A title</h1><p>{matter}</p><p>{matter}</p><div class=share><a href=z>Share this with all of your friends</a></div></div>\
         <script>var no = 1</script><p style='display:none'>Never to be seen, whatever else is there.</p><footer>Imprint of somebody</footer>"
    );
    let scene = Scene::open(Build::HeadlessShell, &page).await;
    let mut caller = scene.caller().await;
    let whole = caller.call("getPageText", json!([])).await;
    let whole = whole.as_str().expect("text");
    assert!(whole.contains("Imprint") && whole.contains("quick brown") && !whole.contains("Never"), "{whole}");
    let main = caller.call("getPageText", json!([{"mainContentOnly": true}])).await;
    let main = main.as_str().expect("text");
    assert!(main.contains("quick brown") && main.contains("A title"), "{main}");
    for word in ["Imprint", "menu", "sale", "Share", "Never", "var no"] {
        assert!(!main.contains(word), "{word} in {main}");
    }
    scene.browser.close(crate::GRACE).await;
}

#[tokio::test]
async fn pictures_sizes_and_places_are_told() {
    let scene = Scene::open(Build::HeadlessShell, "<div style='height:3000px'>x</div>").await;
    let mut caller = scene.caller().await;
    for (args, start) in [
        (json!([]), "data:image/png;base64,iVBOR"),
        (json!([{"format": "jpeg", "quality": 50}]), "data:image/jpeg;base64,/9j/"),
        (json!([{"format": "webp", "scope": "viewport"}]), "data:image/webp;base64,UklGR"),
    ] {
        let picture = caller.call("captureFrame", args).await;
        assert!(picture.as_str().expect("a picture").starts_with(start));
    }
    let metrics = caller.call("getScreenMetrics", json!([])).await;
    assert_eq!(
        (&metrics["width"], &metrics["documentHeight"]),
        (&json!(scene.value("document.documentElement.clientWidth").await.as_f64()), &json!(3000.0)),
        "{metrics}"
    );
    assert_eq!(caller.event("page-viewport").await["scrollY"], 0.0);
    scene.value("scrollTo(0, 700)").await;
    caller
        .hear_that("scrolled", |message| message["name"] == "page-viewport" && message["detail"]["scrollY"] == 700.0)
        .await;
    scene.browser.close(crate::GRACE).await;
}

#[tokio::test]
async fn clicks_find_their_element_in_a_zoomed_page() {
    let scene = Scene::open(
        Build::HeadlessShell,
        "<button id=b style='position:absolute;left:200px;top:300px' onclick=\"note('b')\">b</button>",
    )
    .await;
    let mut caller = scene.caller().await;
    caller.say(json!({"type": "zoom", "factor": 1.5})).await;
    caller.hear_that("zoomed", |message| message["type"] == "viewport" && message["zoom"] == 1.5).await;
    caller.call("click", json!(["#b"])).await;
    scene.until("notes.length", &json!(1)).await;
    let facts = caller.call("page.inspectAt", json!([{"x": 200.0 * 1.5 + 6.0, "y": 300.0 * 1.5 + 6.0}])).await;
    assert_eq!((&facts["selector"], &facts["rect"]["x"]), (&json!("#b"), &json!(300.0)));
    scene.browser.close(crate::GRACE).await;
}
