"use strict";

// Tells the server the person's time zone, follows runs that are at work, and loads parts of large trees.
// Everything works without this script, too: times are then those of the site, and parts are pages of their own.
{
    const EVERY = 1500;

    const tellTimeZone = function() {
        const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
        if (zone) {
            document.cookie = "cleanup_time_zone=" + zone + "; path=/; max-age=31536000; samesite=lax"
                + (location.protocol === "https:" ? "; secure" : "");
        }
    };

    const fragment = async function(address) {
        const answer = await fetch(address, {
            credentials: "same-origin",
            redirect: "error",
            headers: {"X-Requested-With": "XMLHttpRequest"}
        });
        if (!answer.ok) {
            throw new Error(answer.status);
        }
        return new DOMParser().parseFromString(await answer.text(), "text/html").body;
    };

    const follow = function(place) {
        const look = async function() {
            let ended = false;
            try {
                const fresh = await fragment(place.dataset.cleanupRefresh);
                if (fresh.textContent !== place.textContent) {
                    place.replaceChildren(...fresh.childNodes);
                }
                ended = place.querySelector("[data-cleanup-ended]") !== null;
            } catch {
                // The server is busy or away; look again later.
            }
            if (ended) {
                location.reload(); // other buttons, and the figures below
            } else {
                setTimeout(look, EVERY);
            }
        };
        setTimeout(look, EVERY);
    };

    const load = async function(link) {
        const item = link.parentElement;
        link.setAttribute("aria-busy", "true");
        try {
            const fresh = await fragment(link.href);
            const list = fresh.querySelector("ul");
            if (item.tagName === "LI") { // further siblings
                const first = list.firstElementChild;
                item.replaceWith(...list.children);
                first.tabIndex = -1;
                first.focus();
            } else {
                link.replaceWith(list);
            }
        } catch {
            location.assign(link.href);
        }
    };

    tellTimeZone();
    document.querySelectorAll("[data-cleanup-refresh]").forEach(follow);
    document.addEventListener("click", function(event) {
        const link = event.target.closest("a.cleanup-part");
        if (link && !event.ctrlKey && !event.metaKey) {
            event.preventDefault();
            load(link);
        }
    });
    document.addEventListener("toggle", function(event) {
        const folded = event.target;
        if (folded.open && folded.classList.contains("cleanup-folded")) {
            const link = folded.querySelector(":scope > a.cleanup-part");
            if (link) {
                load(link);
            }
        }
    }, true);
}
