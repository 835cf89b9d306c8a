import { createRouter, createWebHistory } from "vue-router";
import Home from "./Home.vue";
import Walk from "./Walk.vue";

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: "/walks/:id", component: Walk },
    { path: "/:any(.*)*", component: Home },
  ],
});
