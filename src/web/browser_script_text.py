"""The browser script as it is served. Made by `npm run script` from browser_script.js; do not edit."""

from typing import Final

SCRIPT: Final = (
    "(()=>{const d=document.currentScript,u=window.mm;if(!d||u&&u.track)return;const f=20,E=2e3,R=3e5"
    ',j=200,T="mm_anonymous_id",y=d.getAttribute("data-key"),k=(d.getAttribute("data-host")||new URL('
    'd.src).origin).replace(/\\/+$/,"")+"/v1/batch",a=!y||navigator.doNotTrack==="1"||navigator.global'
    'PrivacyControl===!0;y||console.warn("millimetric: the script tag needs data-key");let r=[],h=0,p'
    "=f,m=0,i=0,v=!1,_=a,g,S,s,b=document.referrer;const c=e=>(...t)=>{try{return e(...t)}catch(n){co"
    'nsole.warn("millimetric:",n)}},O=()=>crypto.randomUUID?crypto.randomUUID():Array.from(crypto.get'
    'RandomValues(new Uint8Array(16)),e=>(e+256).toString(16).slice(1)).join(""),U=e=>{if(g=String(e)'
    ".slice(0,128),!a)try{localStorage.setItem(T,g)}catch{}},L=()=>{if(!g){let e;try{e=a||localStorag"
    'e.getItem(T)}catch{}U(a||!e?O():e)}return g},w=()=>location.href.split("#")[0].slice(0,2048),I=('
    "e,t)=>{if(_||!e||r.length+h>=j)return;const n={event:String(e),event_id:O(),timestamp:new Date()"
    ".toISOString(),anonymous_id:L(),user_id:S,url:s||w(),referrer:b.slice(0,2048)||void 0,properties"
    ":t||void 0};r.push(JSON.stringify(n)),r.length>=f?l():i||(i=setTimeout(l,E))},C=(e,t)=>{S=e?Stri"
    'ng(e):void 0,S&&I("$identify",t)},A=()=>{const e=w();s&&s!==e&&(b=s),s=e,I("$pageview")},N=e=>`{'
    '"key":${JSON.stringify(y)},"events":[${e}]}`,$=e=>fetch(k,{method:"POST",body:N(e),credentials:"'
    'omit",keepalive:!m}),l=e=>{if(!v)for(clearTimeout(i),i=0;r.length&&(e===!0||!h);){const t=r.spli'
    'ce(0,p);h+=t.length,$(t).then(n=>D(t,n.status,n.headers.get("retry-after")),()=>D(t,0))}},D=(e,t'
    ",n)=>{if(h-=e.length,!t||t===429||t>=500)return r=e.concat(r),J(Math.max(Number(n)*1e3||0,Math.m"
    "in(E*2**m,R)));m=0,t<400?p=f:t!==400&&t!==413?(_=!0,r=[]):e.length>1&&(r=e.concat(r),p=e.length>"
    ">1),l()},J=e=>{m++,v=!0,clearTimeout(i),i=setTimeout(()=>{v=!1,l()},e)},P=()=>{for(;r.length;){c"
    "onst e=r.splice(0,f);(!navigator.sendBeacon||!navigator.sendBeacon(k,N(e)))&&$(e).catch(()=>{})}"
    '},M=c(()=>{w()!==s&&A()}),W=()=>{for(const e of["pushState","replaceState"]){const t=history[e];'
    'history[e]=function(...n){const q=t.apply(this,n);return M(),q}}addEventListener("popstate",M),a'
    'ddEventListener("pageshow",e=>e.persisted&&o.page()),addEventListener("pagehide",c(P)),document.'
    'addEventListener("visibilitychange",()=>document.visibilityState==="hidden"&&o.flush(!0))},o={};'
    "for(const e of Object.entries({track:I,identify:C,page:A,flush:l,getAnonymousId:L,setAnonymousId"
    ":U}))o[e[0]]=c(e[1]);o.push=c(([e,...t])=>o[e](...t)),window.mm=o;const B=()=>{const e=Array.isA"
    'rray(u)?u:[],t=n=>["identify","setAnonymousId"].includes(n&&n[0]);e.filter(t).forEach(o.push),A('
    '),e.filter(n=>!t(n)).forEach(o.push),a||W()};document.prerendering?document.addEventListener("pr'
    'erenderingchange",c(B),{once:!0}):c(B)()})();\n'
)
